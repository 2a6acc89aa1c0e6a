"""Asks the application as a WSGI server does, in its own process and on command.

A line of standard input is one command, a line of JSON on standard output its answer:

    time ROUTE N    N requests: nanoseconds of CPU, of the process and of this thread
    count ROUTE N   the same under callgrind, counted into a file named by the route
    yardstick N     N rounds of a fixed piece of Python, counted
    scrape          what the application answers to a scrape of our monitoring endpoint
    steady          no collection of garbage from here on
    quit
"""

from __future__ import annotations

import os
import sys

# Whatever else prints must not get between the answers.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import ctypes
import gc
import io
import json
import time
from collections.abc import Callable
from typing import Any

from application import app

# Background exporters keep up as they would in life, where requests do not come without a pause.
BURST = 50
PAUSE_SECONDS = 0.012
# Of what is counted: so that what happens by the clock can be told from what each request does.
BLOCKS = 5

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_SOFTWARE": "gunicorn/27.0.1",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "40000",
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_USER_AGENT": "bench/1.0 (X11; Linux x86_64)",
    "HTTP_ACCEPT": "*/*",
    "HTTP_X_USER": "u-1234",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
statuses: set[str] = set()


def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
    statuses.add(status)
    return _write


def _write(data: bytes) -> None:
    pass


def ask(path: str) -> bytes:
    """One request, to the last byte of its answer, which is returned."""
    body = app(
        {**ENVIRON, "PATH_INFO": path, "RAW_URI": path, "wsgi.input": io.BytesIO()}, start_response
    )
    try:
        return b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()


def flush() -> None:
    """Sends the spans that a tracer of this process has not sent yet: they are its cost too."""
    if "ddtrace" in sys.modules:
        from ddtrace.trace import tracer

        tracer.flush()
    elif "opentelemetry.sdk.trace" in sys.modules:
        from opentelemetry import trace

        getattr(trace.get_tracer_provider(), "force_flush", lambda: None)()


def timed(path: str, count: int) -> dict[str, float]:
    """Nanoseconds of CPU of one request, on average."""
    flush()
    time.sleep(PAUSE_SECONDS)
    process, thread = time.process_time_ns(), time.thread_time_ns()
    for number in range(count):
        ask(path)
        if number % BURST == BURST - 1:
            time.sleep(PAUSE_SECONDS)
    thread = time.thread_time_ns() - thread
    flush()
    return {"process": (time.process_time_ns() - process) / count, "thread": thread / count}


def counted(name: str, count: int, once: Callable[[], object]) -> dict[str, int]:
    """Under callgrind: `count` calls in BLOCKS, each written to a file with `name` in it."""
    valgrind = ctypes.CDLL(os.environ["BENCH_CALLGRIND"])
    for _ in range(count):  # caches fill, and what adapts to its use has adapted
        once()
    flush()
    # One collection of everything there is, in whichever block it falls, would outweigh the rest.
    gc.collect()
    gc.freeze()
    valgrind.count()
    for _ in range(10):  # code is translated at its first run
        once()
    valgrind.from_zero()
    for block in range(BLOCKS):
        for _ in range(count // BLOCKS):
            once()
        if block == BLOCKS - 1:
            flush()
        valgrind.write_counts(name.encode())
    valgrind.count_no_more()
    return {"requests": count // BLOCKS}


def yardstick() -> None:
    """What Python code does all day: calls, look-ups, attributes, arithmetic, writes to memory."""
    cells, names, view = {}, ("a", "b", "c", "d"), memoryview(bytearray(64)).cast("d")
    for number in range(100):
        name = names[number & 3]
        cells[name] = cells.get(name, 0) + _length(name, number)
        view[number & 7] += 1.0


def _length(name: str, number: int) -> int:
    return len(name) + number


def answer(command: list[str]) -> dict[str, Any]:
    """Carries out one command."""
    match command:
        case ["time", route, count]:
            result: dict[str, Any] = timed(f"/{route}", int(count))
        case ["count", route, count]:
            result = counted(route, int(count), lambda: ask(f"/{route}"))
        case ["yardstick", count]:
            result = counted("yardstick", int(count), yardstick)
        case ["scrape"]:
            result = {"text": ask("/api/monitoring/metrics").decode()}
        case ["steady"]:
            gc.collect()
            gc.disable()
            result = {}
        case _:
            raise ValueError(f"no command {command}")
    result["statuses"] = sorted(statuses)
    statuses.clear()
    return result


if __name__ == "__main__":
    print(json.dumps({"python": sys.version}), file=answers)
    for line in sys.stdin:
        if line == "quit\n":
            break
        print(json.dumps(answer(line.split())), file=answers)
    # Without the last words of exporters: nobody waits for them.
    answers.flush()
    os._exit(0)
