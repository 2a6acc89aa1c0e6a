"""Flask: what is measured of a request, from its start until its body has been sent or closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from otel_accubooks.instrument import business
from otel_accubooks.instrument import exchange as plain
from otel_accubooks.instrument.flask_routes import is_free
from otel_accubooks.instrument.guard import failed, pass_on
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.polling import polls
from otel_accubooks.recorder import exemplars
from otel_accubooks.recorder.process import recorder

try:
    from otel_accubooks.instrument._exchange import Exchange, configure, watched

    configure(
        plain.known,
        plain.series_of,
        plain.METHODS,
        plain.OTHER_METHOD,
        plain.UNMATCHED,
        vars(exemplars),
        plain.fault,
    )
except ImportError:  # not built here: docs/platforms.md
    from otel_accubooks.instrument.exchange import Exchange, watched

_EXCHANGE = "otel_accubooks.exchange"

# Answers for the paths of the monitoring endpoints, given by the launcher.
endpoints: dict[str, Callable[[dict[str, Any], Any], Iterable[bytes]]] = {}


class ThreadlessExchange(Exchange):
    """A request of a process in which no thread can run: its end is used to look after things."""

    __slots__ = ()

    def ended(self) -> None:
        super().ended()
        try:
            polls.run_threadless()
            _choose_exchange()
        except Exception:
            failed("looking after things")


_exchange: type[Exchange] = Exchange


def _choose_exchange() -> None:
    global _exchange
    _exchange = ThreadlessExchange if polls.threadless else Exchange


def _watched_file(body: Any, exchange: Exchange) -> Any:
    """A file that the server sends by itself, if it finds its own type: only its end is watched."""
    close = getattr(body, "close", None)

    def closed() -> None:
        try:
            if close is not None:
                close()
        finally:
            exchange.ended()

    try:
        body.close = closed
    except Exception:
        pass_on()
        exchange.ended()
    return body


def _measured_call(original: Callable[..., Any]) -> Callable[..., Any]:
    def __call__(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        if _EXCHANGE in environ:  # an application inside another one: the outer one measures
            return original(self, environ, start_response)
        path = environ.get("PATH_INFO", "")
        if path in endpoints and is_free(self, path, endpoints):
            return endpoints[path](environ, start_response)
        try:
            exchange = environ[_EXCHANGE] = _exchange(environ, start_response)
        except Exception:
            failed("measuring a request")
            return original(self, environ, start_response)
        try:
            body = original(self, environ, exchange.start_response)
        except BaseException:
            exchange.status = "500"
            exchange.ended()
            raise
        try:
            wrapper = environ.get("wsgi.file_wrapper")
            if wrapper is not None and isinstance(wrapper, type) and isinstance(body, wrapper):
                return _watched_file(body, exchange)
            return watched(body, exchange)
        except Exception:
            pass_on()  # what has no parts is for the server to judge
            exchange.ended()
            return body

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
        try:
            exchange = environ.get(_EXCHANGE)
            if exchange is not None:
                exchange.request = context.request
        except Exception:
            failed("looking at a request")
        return context

    return request_context


def _observed_dispatch(original: Callable[..., Any]) -> Callable[..., Any]:
    def full_dispatch_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = business.request_began()
        try:
            # Flask passes nothing yet; without arguments it takes half the time.
            response = original(self, *args, **kwargs) if args or kwargs else original(self)
        except Exception:
            business.request_ended(request, None)
            raise
        business.request_ended(request, response)
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
