"""A process that runs out of memory inside the compiled modules: one allocation after the other fails.

Prints what each said, as JSON. In a process of its own: an interpreter that has crashed says nothing.
"""

from __future__ import annotations

import _testcapi
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from otel_accubooks.instrument import _exchange, _pool_gauges, exchange, guard
from otel_accubooks.instrument import flask as front
from otel_accubooks.recorder import _compiled, exemplars

ROUNDS = 10_000
MOST = 400  # allocations of one work


def told(_: object) -> None:
    """A log that needs no memory."""


class LedgerError(Exception):
    """What a body of the application may raise."""


def parts(*given: Any) -> Any:
    for part in given:
        if isinstance(part, Exception):
            raise part
        yield part


REQUEST = SimpleNamespace(url_rule=SimpleNamespace(rule="/books"))
HEADERS = [("Content-Length", "4")]
NEW = iter(range(10**9))


def answered(body: Any, *, request: Any = REQUEST, headers: Any = HEADERS) -> Any:
    """A request from its start to its end."""
    one = _exchange.Exchange({"REQUEST_METHOD": "GET"}, len_of)
    one.request = request
    one.start_response("200 OK", headers)
    sent = _exchange.watched(body, one)
    try:
        for _ in sent:
            pass
    finally:
        sent.close()


def len_of(*_: object) -> None:
    """A server's start_response."""


def made() -> tuple[Any, ...]:
    """A series of each kind, with a place."""
    values = memoryview(bytearray(8 * 40)).cast("d")
    one = _compiled.Counter(1, b"key", 2, attach)
    other = _compiled.Histogram(2, b"key", 5, attach, (1.0, 2.0))
    gauge = _compiled.Gauge(3, b"key", 1, attach)
    for series in (one, other, gauge):
        series.place(values, 0, LOCK, GENERATION[0])
    one.add()
    other.record(1.5)
    gauge.set(7)
    return one, other, gauge, one.kept()


def attach(series: Any) -> None:
    series.place(VALUES, 0, LOCK, GENERATION[0])


def shown() -> None:
    _pool_gauges.show((([1], [2, 3], 4), ([], [], None)), *[GAUGE] * 3)


def set_up() -> None:
    global LOCK, GENERATION, VALUES, GAUGE
    from _thread import RLock

    from otel_accubooks.recorder.fork import generation

    LOCK, GENERATION = RLock(), generation
    generation[0] = 1
    VALUES = memoryview(bytearray(8 * 40)).cast("d")
    GAUGE = _compiled.Gauge(3, b"key", 1, attach)
    attach(GAUGE)


WORKS: dict[str, Callable[[], Any]] = {
    "a request": lambda: answered([b"ab", b"cd"]),
    "a stream": lambda: answered(parts(b"ab", b"cd")),
    "a stream that breaks": lambda: answered(parts(b"ab", LedgerError())),
    "a request of no rule": lambda: answered([b"ab"], request=SimpleNamespace(url_rule=None)),
    "a request of a new rule": lambda: answered(
        [b"abcd"], request=SimpleNamespace(url_rule=SimpleNamespace(rule=f"/{next(NEW) % 9}"))
    ),
    "an odd request": lambda: answered(
        [b"ab"], request=object(), headers=[("Content-Length", "x")]
    ),
    "a series": made,
    "gauges": shown,
}


def attempt(work: Callable[[], Any]) -> str:
    try:
        work()
    except LedgerError:
        return "LedgerError"
    return "done"


def starve(work: Callable[[], Any]) -> dict[str, int]:
    """Lets each allocation of a work fail in its turn; how often it then ended in which way."""
    ends: dict[str, int] = {}
    for number in range(MOST):
        _testcapi.set_nomemory(number, number + 1)
        try:
            try:
                work()
                end = 0
            except (MemoryError, SystemError):  # the latter by the interpreter, also without us
                end = 1
            except LedgerError:
                end = 2
        finally:
            _testcapi.remove_mem_hooks()
        name = ("done", "MemoryError", "LedgerError")[end]
        ends[name] = ends.get(name, 0) + 1
    return ends


def left_behind(work: Callable[[], Any]) -> int:
    """Bytes that ROUNDS of a work leave behind."""
    for _ in range(100):
        attempt(work)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(ROUNDS):
        attempt(work)
    gc.collect()
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return left


def faulty(_: object) -> Any:
    raise KeyError("injected")


def main() -> None:
    set_up()
    guard._log.disabled = True
    said: dict[str, Any] = {}
    for name, work in WORKS.items():
        references = [sys.getrefcount(each) for each in (REQUEST, HEADERS, GAUGE, exchange.fault)]
        ends = starve(work)
        gc.collect()
        again = [sys.getrefcount(each) for each in (REQUEST, HEADERS, GAUGE, exchange.fault)]
        said[name] = {
            "ends": ends,
            "references": [b - a for a, b in zip(references, again, strict=True)],
            "left": left_behind(work),
        }
    exemplars.sampled = faulty
    said["a fault in what is called"] = {"left": left_behind(WORKS["a request"]), "ends": {}}
    assert front.Exchange is _exchange.Exchange
    print(json.dumps(said))


if __name__ == "__main__":
    main()
