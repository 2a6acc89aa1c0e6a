"""People, robots and tasks that keep a deployment busy, and know what they did."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any

import psycopg2
from celery import Celery

from otel_accubooks.stack.deployment import Deployment
from otel_accubooks.stack.people import people
from otel_accubooks.stack.process import Server

HERE = Path(__file__).parent
_PAUSE = 0.005  # of a robot, so that a machine with other things to do keeps up


class Load:
    """Everything that is done to `deployment` from `start` until `stop`, each in a thread."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.counts = people().Counts()
        self.sent = 0
        self.failed: list[BaseException] = []
        self._over = threading.Event()
        doing = (self._people, self._robot, self._robot, self._tasks)
        self._threads = [self.thread(one) for one in doing]

    def thread(self, doing: Callable[[], None]) -> threading.Thread:
        """A thread, for whatever else goes on meanwhile; `stop` raises what goes wrong in it."""
        return threading.Thread(target=self._safely, args=(doing,))

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends, everybody having been answered; raises what went wrong meanwhile."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self.failed:
            raise self.failed[0]

    def _safely(self, doing: Callable[[], None]) -> None:
        try:
            doing()
        except BaseException as error:
            self.failed.append(error)

    def _people(self) -> None:
        traffic, random = people(), Random(7)
        everybody = [
            traffic.Person(
                self.deployment.url, f"{tier.lower()}@{company}.example", tier, self.counts
            )
            for company in traffic.COMPANIES
            for tier in traffic.TIERS
        ]
        while not self._over.is_set():
            waiting: list[tuple[Any, int]] = []
            for person in random.sample(everybody, 3):
                waiting += [(person, one) for one in traffic.visit(person, random, first=False)]
            traffic.settle(waiting, random)
            signed_in = [person for person in everybody if person.user_id is not None]
            traffic.make_mistakes(signed_in, self.deployment.redis.url)
            for person in random.sample(signed_in, len(signed_in) // 2):
                person.sign_out()
            self._throw_away()

    def _throw_away(self) -> None:
        """The scenarios, by nobody's request: lists that grow for ever would slow everything."""
        dsn = self.deployment.postgres.dsn
        with (
            closing(psycopg2.connect(dsn)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("DELETE FROM scenarios")

    def _robot(self) -> None:
        often = [("GET", "/"), ("GET", "/no-such-page"), ("GET", "/api/export")]
        asked = [*often * 10, ("POST", "/login")]  # which takes a tenth of a second to say no
        number = 0
        while not self._over.wait(_PAUSE):
            method, path = asked[number % len(asked)]
            number += 1
            with closing(
                HTTPConnection("127.0.0.1", self.deployment.app_port, timeout=60)
            ) as connection:
                body = b'{"email": "nobody@acorn.example", "password": "x"}'
                headers = {"Content-Type": "application/json"}
                connection.request(method, path, body if method == "POST" else None, headers)
                connection.getresponse().read()

    def _tasks(self) -> None:
        with Celery(broker=self.deployment.redis.url) as sender:
            while not self._over.wait(0.2):
                sender.send_task("long_run_tasks.report", (self.sent,), queue="reports")
                self.sent += 1


def celery_worker(deployment: Deployment, env: Mapping[str, str]) -> Server:
    """A worker under the launcher whose children end after five tasks."""
    folder = deployment.folder
    log = folder / "celery.log"
    pool = ["--concurrency", "2", "--max-tasks-per-child", "5"]
    quiet = ["--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    celery = [str(Path(sys.executable).parent / "celery"), "-A", "long_run_tasks", "worker"]
    return Server(
        "Celery worker",
        ["opentelemetry-instrument", *celery, "--queues", "reports", *pool, *quiet],
        log=log,
        env=dict(env),
        cwd=HERE,
        ready=lambda: "ready." in log.read_text(errors="replace"),
    )


def answered(account: Path) -> tuple[Counter[tuple[str, str]], int]:
    """How often which (method, status) was answered, and by how many processes."""
    lines = [line.split() for line in account.read_text().splitlines()]
    return Counter((method, status) for _, method, status in lines), len({p for p, *_ in lines})


def ended(account: Path) -> tuple[Counter[str], int]:
    """How many tasks had which end, and in how many processes."""
    lines = [line.split() for line in account.read_text().splitlines()]
    return Counter(status for _, status in lines), len({process for process, _ in lines})


def forecasts(deployment: Deployment) -> Counter[str]:
    """How many forecasts have which status, by the application's own table."""
    dsn = deployment.postgres.dsn
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT status, count(*) FROM forecasts GROUP BY status")
        return Counter(dict(cursor.fetchall()))
