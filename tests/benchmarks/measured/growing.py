"""An application with many routes, each answering with any status, asked in its own process.

BENCH_BY_HAND as in `application`. A line of standard input is one command, a line of JSON the answer:

    routes R S            R routes, S statuses of each: R x S series of a metric; each is asked for once
    time N                N requests, evenly over all of them: nanoseconds of CPU of one
    threads T N           N requests by each of T threads at once: nanoseconds of CPU of one
    count NAME N          N requests under callgrind, counted into a file named NAME
    texts NAME KIND D N   N queries of D texts that differ, each in its turn, counted so
    pipeline NAME D N     N pipelines of D Redis commands, counted so
    seen                  how many kinds of requests our own page has seen
"""

from __future__ import annotations

import os
import sys

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import ctypes
import io
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.routing import Rule

BY_HAND = os.environ.get("BENCH_BY_HAND", "")
STATUSES = (200, 201, 400, 401, 403, 404, 409, 422, 429, 500)
QUERIES = {
    "plain": "SELECT id, name, qty FROM items WHERE id = {} AND qty IN (1, 2, 3) ORDER BY id LIMIT 3",
    "with": "WITH chosen AS (SELECT id, name FROM items WHERE id = {} AND qty IN (1, 2, 3)), "
    "others AS (SELECT id, name FROM items WHERE name = 'x' AND qty > (2 + 3)) "
    "SELECT * FROM chosen UNION ALL SELECT * FROM others",
}
PRIME = 7919  # neighbours are not asked for one after the other

app = Flask(__name__)
paths: list[tuple[str, str]] = []


def endpoint() -> Response:
    """Whatever status is asked for."""
    return Response("ok", int(request.query_string))


def grow(routes: int, statuses: int) -> dict[str, int]:
    """So many series; those that are there already stay."""
    for number in range(len(app.view_functions) - 1, routes):
        # What Flask itself refuses after the first request.
        app.url_map.add(Rule(f"/route-{number}", endpoint=f"route-{number}"))
        app.view_functions[f"route-{number}"] = endpoint
    paths[:] = [
        (f"/route-{number}", str(status))
        for number in range(routes)
        for status in STATUSES[:statuses]
    ]
    for number in range(len(paths)):
        ask(number)
    return {"series": len(paths)}


def ask(number: int) -> None:
    """One request to the last byte of its answer; the number says to which route, for which status."""
    path, status = paths[number * PRIME % len(paths)]
    answered(path, status)


def answered(path: str, query: str) -> bytes:
    """The body of the answer to a request."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_X_USER": "u-1234",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.input": io.BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    body = app(environ, _start_response)
    try:
        return b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()


def _start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
    return _write


def _write(data: bytes) -> None:
    pass


def timed(count: int) -> dict[str, float]:
    """Nanoseconds of CPU of one request, of the whole process."""
    began = time.process_time_ns()
    for number in range(count):
        ask(number)
    return {"process": (time.process_time_ns() - began) / count}


def threaded(threads: int, count: int) -> dict[str, float]:
    """The same, where so many threads ask at once."""

    def work(first: int) -> None:
        together.wait()
        for number in range(first, first + count):
            ask(number)

    together = threading.Barrier(threads + 1)
    workers = [threading.Thread(target=work, args=(n * count,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    began = time.process_time_ns()
    together.wait()
    for worker in workers:
        worker.join()
    return {"process": (time.process_time_ns() - began) / (threads * count)}


def counted(name: str, count: int, once: Callable[[int], object]) -> dict[str, int]:
    """Under callgrind: what is counted after a few calls, which translate the code."""
    valgrind = ctypes.CDLL(os.environ["BENCH_CALLGRIND"])
    valgrind.count()
    for number in range(20):
        once(number)
    valgrind.from_zero()
    for number in range(count):
        once(number)
    valgrind.write_counts(name.encode())
    valgrind.count_no_more()
    return {"calls": count}


def queries(kind: str, distinct: int) -> Callable[[int], object]:
    """What sends one of so many texts: a row by its key, written into the text."""
    import psycopg2

    connection = psycopg2.connect(os.environ["BENCH_DSN"])
    connection.autocommit = True
    texts = [QUERIES[kind].format(number) for number in range(distinct)]
    cursor = connection.cursor()

    def once(number: int) -> None:
        cursor.execute(texts[number % distinct])

    for number in range(distinct):
        once(number)
    return once


def pipelines(commands: int) -> Callable[[int], object]:
    """What sends one pipeline of so many commands."""
    import redis

    store = redis.Redis.from_url(os.environ["BENCH_REDIS"])

    def once(number: int) -> None:
        trip = store.pipeline(transaction=False)
        for key in range(commands):
            trip.get(f"key:{key}")
        trip.execute()

    once(0)
    return once


def answer(command: list[str]) -> dict[str, Any]:
    """Carries out one command."""
    match command:
        case ["routes", routes, statuses]:
            return grow(int(routes), int(statuses))
        case ["seen"]:
            page = answered("/api/monitoring/metrics", "").decode()
            return {"seen": page.count("\nhttp_requests_total{")}
        case ["time", count]:
            return timed(int(count))
        case ["threads", threads, count]:
            return threaded(int(threads), int(count))
        case ["count", name, count]:
            return counted(name, int(count), ask)
        case ["texts", name, kind, distinct, count]:
            return counted(name, int(count), queries(kind, int(distinct)))
        case ["pipeline", name, commands, count]:
            return counted(name, int(count), pipelines(int(commands)))
    raise ValueError(f"no command {command}")


if __name__ == "__main__":
    if BY_HAND:
        import by_hand

        by_hand.install(BY_HAND, app)
    print(json.dumps({"python": sys.version}), file=answers)
    for line in sys.stdin:
        print(json.dumps(answer(line.split())), file=answers)
    answers.flush()
    os._exit(0)
