"""What a process does that is started by the launcher: it imports libraries, forks, logs, and ends.

As `fault_steps`, but nothing is imported before; `launch` does what the launcher does.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable
from typing import Any

DSN, URL = os.environ.get("FAULTS_DSN", ""), os.environ.get("FAULTS_REDIS", "")

launched = False  # True from when the walk is no longer bare
STEPS: dict[str, Callable[[], Any]] = {}


def step(function: Callable[[], Any]) -> Callable[[], Any]:
    """A step, which begins with the launcher."""

    def run() -> Any:
        launch()
        return function()

    STEPS[function.__name__] = run
    return run


def launch() -> None:
    """The launcher's calls of our entry points, once in a process."""
    if launched:
        from otel_accubooks.launch.configurator import AccuBooksConfigurator
        from otel_accubooks.launch.distro import AccuBooksDistro, load_for_spans
        from otel_accubooks.launch.instrumentors import AllInstrumentors

        with contextlib.suppress(Exception):  # as the launcher does, which logs it
            AccuBooksDistro().configure()
            AccuBooksConfigurator().configure()
            AllInstrumentors().instrument()
            load_for_spans()


def ask(path: str = "/") -> Any:
    """A request of a small application."""
    import flask

    app = flask.Flask("small")
    app.add_url_rule("/", view_func=lambda: "books")
    seen: list[Any] = []
    environ = {
        **{"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "books", "SERVER_PORT": "80"},
        **{"wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http"},
    }
    body = app(environ, lambda status, *_: seen.append(status))
    return [*seen, b"".join(body).decode()]


def in_fork(work: Callable[[], Any]) -> int:
    """How a forked child ends that does some work."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


@step
def start_and_request() -> Any:
    return ask(), ask("/nowhere")[0]


@step
def start_and_fork() -> Any:
    return ask(), in_fork(ask), ask()


@step
def start_and_log() -> Any:
    logging.getLogger("books").addHandler(logging.NullHandler())
    logging.getLogger("books").error("a ledger is %s", "wrong")
    return ask()


@step
def start_and_become_another_user() -> Any:
    def switch() -> None:
        os.setuid(65534)
        assert os.getuid() == 65534

    return ask(), in_fork(switch) if os.geteuid() == 0 else 0


@step
def start_and_query() -> Any:
    import psycopg2
    import psycopg2.pool

    pool = psycopg2.pool.SimpleConnectionPool(1, 1, DSN)
    said = []
    for number in range(3):
        connection = pool.getconn()
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", (number,))
            said.append(cursor.fetchone()[0])
        pool.putconn(connection)
    pool.closeall()
    return said


@step
def start_and_cache() -> Any:
    import redis

    with redis.Redis.from_url(URL) as client:
        return client.set("start", 1), client.get("start").decode()


@step
def start_and_enqueue() -> Any:
    import celery.signals  # noqa: F401
    import redis
    import rq

    with redis.Redis.from_url(URL) as client:
        queue = rq.Queue("start", connection=client, is_async=False)
        return queue.enqueue(len, "abc").return_value()


@step
def start_and_measure() -> Any:
    if not launched:
        return True
    from otel_accubooks.launch.user_meters import meter_provider

    meter = meter_provider().get_meter("books")
    meter.create_counter("ledgers").add(1)
    meter.create_observable_gauge("open", [lambda _: []])
    import celery.signals  # noqa: F401
    import rq  # noqa: F401

    from otel_accubooks.launch.process_end import flush_all

    ask()
    flush_all()
    return True


@step
def start_and_end() -> Any:
    said = ask()
    if launched:
        from otel_accubooks.instrument.polling import polls
        from otel_accubooks.launch import start
        from otel_accubooks.launch.process_end import flush_all

        for poll in list(polls._polls.values()):
            polls._run_one(poll)
        polls.run_threadless()
        flush_all()
        start._at_exit()
    return said
