"""Flask: what is measured of a request, from its start until its body has been sent or closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from otel_accubooks.contract.metrics import HTTP_REQUEST_DURATION_MS, HTTP_REQUESTS_TOTAL
from otel_accubooks.instrument import business
from otel_accubooks.instrument.faults import FAULTS
from otel_accubooks.instrument.flask_routes import is_free
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.polling import polls
from otel_accubooks.recorder import exemplars
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.series import Counter, Histogram

UNMATCHED = "unmatched"
OTHER_METHOD = "_OTHER"
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
)
_EXCHANGE = "otel_accubooks.exchange"

_durations = recorder.histogram(HTTP_REQUEST_DURATION_MS)
_requests = recorder.counter(HTTP_REQUESTS_TOTAL)

# Answers for the paths of the monitoring endpoints, given by the launcher.
endpoints: dict[str, Callable[[dict[str, Any], Any], Iterable[bytes]]] = {}
_series: dict[tuple[str, str, str], tuple[Histogram, Counter]] = {}


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
        self.status = status[:3]
        try:
            for name, value in headers:
                if name == "Content-Length":
                    self._left = int(value)
        except FAULTS:
            pass  # for the server to judge
        return self._start_response(status, headers, *rest)

    def hand_over(self, part: bytes) -> None:
        """Counts the request before its last part is sent. Never raises.

        Once that has arrived, the client knows the answer, and a server may be killed at any moment.
        """
        try:
            self._left -= len(part)
            if self._left == 0:
                self._count()
        except FAULTS:
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
        except FAULTS:
            failed("recording a request")

    def _count(self) -> Histogram:
        method = self._method if self._method in METHODS else OTHER_METHOD
        rule = None if self.request is None else self.request.url_rule
        key = (method, UNMATCHED if rule is None else rule.rule, self.status)
        found = _series.get(key)
        if found is None:
            found = _series[key] = (_durations.labels(*key), _requests.labels(*key))
        found[1].add()
        self._duration = found[0]
        return found[0]


class ThreadlessExchange(Exchange):
    """A request of a process in which no thread can run: its end is used to look after things."""

    __slots__ = ()

    def ended(self) -> None:
        super().ended()
        polls.run_threadless()
        _choose_exchange()


_exchange: type[Exchange] = Exchange


def _choose_exchange() -> None:
    global _exchange
    _exchange = ThreadlessExchange if polls.threadless else Exchange


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


def _watched(body: Iterable[bytes], environ: dict[str, Any], exchange: Exchange) -> Iterable[bytes]:
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        # The server sends such a file by itself, if it finds its own type: only its end is watched.
        close = getattr(body, "close", None)

        def closed() -> None:
            try:
                if close is not None:
                    close()
            finally:
                exchange.ended()

        try:
            body.close = closed  # type: ignore[attr-defined]
        except AttributeError:
            exchange.ended()
        return body
    return SizedBody(body, exchange) if hasattr(body, "__len__") else Body(body, exchange)


def _measured_call(original: Callable[..., Any]) -> Callable[..., Any]:
    def __call__(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        if _EXCHANGE in environ:  # an application inside another one: the outer one measures
            return original(self, environ, start_response)
        answer = endpoints.get(environ.get("PATH_INFO", ""))
        if answer is not None and is_free(self, environ["PATH_INFO"], endpoints):
            return answer(environ, start_response)
        exchange = environ[_EXCHANGE] = _exchange(environ, start_response)
        try:
            body = original(self, environ, exchange.start_response)
        except BaseException:
            exchange.status = "500"
            exchange.ended()
            raise
        return _watched(body, environ, exchange)

    return __call__


def fail_one(route: str) -> None:
    """Measures a POST to `route` that is answered 500, as any request is; no application sees it."""

    def application(_: Any, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ[_EXCHANGE].request = SimpleNamespace(
            url_rule=SimpleNamespace(rule=route), environ=environ
        )
        body = b"An error on purpose.\n"
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        start_response("500 INTERNAL SERVER ERROR", headers)
        return [body]

    body = _measured_call(application)(None, {"REQUEST_METHOD": "POST"}, lambda *_: None)
    for _ in body:
        pass  # what a server would send
    body.close()


def _noted_context(original: Callable[..., Any]) -> Callable[..., Any]:
    def request_context(self: Any, environ: dict[str, Any]) -> Any:
        context = original(self, environ)
        exchange = environ.get(_EXCHANGE)
        if exchange is not None:
            exchange.request = context.request
        return context

    return request_context


def _observed_dispatch(original: Callable[..., Any]) -> Callable[..., Any]:
    def full_dispatch_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = business.request_began()
        try:
            response = original(self, *args, **kwargs)
        except Exception:
            business.request_failed(before)
            raise
        business.request_ended(response, before)
        return response

    return full_dispatch_request


def _observed_exception(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_user_exception(self: Any, *args: Any, **kwargs: Any) -> Any:
        business.exception_raised(args[-1] if args else kwargs.get("e"))
        return original(self, *args, **kwargs)

    return handle_user_exception


def instrument(module: Any) -> Patches:
    """Measures every Flask application of this process; `module` is flask."""
    recorder.on_open(_choose_exchange)
    patches = Patches()
    flask = module.app.Flask  # module.Flask may be a subclass that somebody put in its place
    patches.wrap(flask, "__call__", _measured_call)
    patches.wrap(flask, "request_context", _noted_context)
    if business.rules_exist():
        patches.wrap(flask, "full_dispatch_request", _observed_dispatch)
        patches.wrap(flask, "handle_user_exception", _observed_exception)
    return patches
