"""One request on its way, and the body of its answer: what is measured of them, in Python.

Where it could be built, `_exchange.c` takes the place of these classes, and does what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from otel_accubooks.contract.metrics import HTTP_REQUEST_DURATION_MS, HTTP_REQUESTS_TOTAL
from otel_accubooks.instrument.guard import failed, pass_on
from otel_accubooks.recorder import exemplars
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.series import Counter, Histogram

UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
)

Labels = tuple[str, str, str]

durations = recorder.histogram(HTTP_REQUEST_DURATION_MS)
requests = recorder.counter(HTTP_REQUESTS_TOTAL)
known: dict[Labels, tuple[Histogram, Counter]] = {}


def series_of(labels: Labels) -> tuple[Histogram, Counter]:
    """Duration and count of the requests with these labels, remembered in `known`."""
    found = known[labels] = (durations.labels(*labels), requests.labels(*labels))
    return found


def fault(place: str, error: BaseException) -> None:
    """What `_exchange.c` does with an exception of its own doing; raises it if it is not one."""
    failed(place, error)


class Exchange:
    """One request on its way: when it began, Flask's view of it, and the status of its answer."""

    __slots__ = ("_began", "_duration", "_left", "_method", "_start_response", "request", "status")

    def __init__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        self._began = perf_counter()
        self._method = environ.get("REQUEST_METHOD", "")
        self._start_response = start_response
        self._left = -1  # bytes of the body still to come, where the answer says how many
        self._duration: Histogram | None = None
        self.request: Any = None
        self.status = "500"

    def start_response(self, status: str, headers: Any, *rest: Any) -> Any:
        """Notes status and length and passes on, as PEP 3333 describes."""
        try:
            self.status = status[:3]
            for name, value in headers:
                if name == "Content-Length":
                    self._left = int(value)
        except Exception:
            pass_on()  # all else is for the server to judge
        return self._start_response(status, headers, *rest)

    def hand_over(self, part: bytes) -> None:
        """Counts the request before its last part is sent. Never raises.

        Once that has arrived, the client knows the answer, and a server may be killed at any moment.
        """
        try:
            self._left -= len(part)
            if self._left == 0 and self._duration is None:
                self._count()
        except Exception:
            failed("counting a request")

    def ended(self) -> None:
        """Records how long the request took, and counts it if it was not yet. Never raises."""
        try:
            elapsed = (perf_counter() - self._began) * 1000.0
            duration = self._duration or self._count()
            if exemplars.sampled is None:
                duration.record(elapsed)
            else:
                duration.record_in(exemplars.sampled(self.request), elapsed)
        except Exception:
            failed("recording a request")
        self.request = None  # which refers to the environ, and that to this

    def _count(self) -> Histogram:
        method = self._method if self._method in METHODS else OTHER_METHOD
        rule = None if self.request is None else self.request.url_rule
        key = (method, UNMATCHED if rule is None else rule.rule, self.status)
        found = known.get(key) or series_of(key)
        found[1].add()
        self._duration = found[0]
        return found[0]


class Body:
    """The body of an answer, passed on as it is; its end is the end of the request."""

    __slots__ = ("_body", "_exchange", "_next")

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        self._body = body
        self._exchange: Exchange | None = exchange
        self._next = iter(body).__next__

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            part = self._next()
        except StopIteration:
            self._ended()
            raise
        except BaseException:
            if self._exchange is not None:
                self._exchange.status = "500"
            raise
        if self._exchange is not None:
            self._exchange.hand_over(part)
        return part

    def close(self) -> None:
        """Closes the body: servers call this once all is sent, or when the client has left."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._ended()

    def _ended(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.ended()


class SizedBody(Body):
    """A body with a length, which servers use to know the size of the answer."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


def watched(body: Iterable[bytes], exchange: Exchange, /) -> Body:
    """The body of an answer, to be watched."""
    return SizedBody(body, exchange) if hasattr(body, "__len__") else Body(body, exchange)
