"""When a request counts, step by step as a server takes its answer: in Python, and compiled."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from otel_accubooks.instrument import exchange
from otel_accubooks.recorder import exemplars

try:
    from otel_accubooks.instrument import _exchange as compiled
except ImportError:  # not built here
    KINDS: list[Any] = [exchange]
else:
    KINDS = [exchange, compiled]


@pytest.fixture(params=KINDS, ids=lambda kind: "plain" if kind is exchange else "compiled")
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def count(status: str, route: str = exchange.UNMATCHED) -> float:
    """Requests counted so far in this process, of a method that only these tests use."""
    return exchange.requests.labels("TRACE", route, status).kept()[1]


def durations(status: str, route: str = exchange.UNMATCHED) -> float:
    return sum(exchange.durations.labels("TRACE", route, status).kept()[2:])


@pytest.fixture(autouse=True)
def placed() -> None:
    for status in ("200", "201", "404", "500"):
        for family in (exchange.requests, exchange.durations):
            for route in (exchange.UNMATCHED, "/a/<int:b>"):
                series: Any = family.labels("TRACE", route, status)
                series._attach(series)


def answered(kind: Any, parts: Any, status: str, *headers: tuple[str, str]) -> Iterator[bytes]:
    one = kind.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *_: None)
    one.start_response(f"{status} X", list(headers))
    body: Iterator[bytes] = kind.Body(parts, one)
    return body


def test_it_counts_before_the_last_part_is_sent(kind: Any) -> None:
    """With a Content-Length the server has the last part only after the request was counted."""
    before, took = count("200"), durations("200")
    body: Any = answered(kind, [b"ab", b"cd"], "200", ("Content-Length", "4"))
    next(body)
    assert count("200") == before
    next(body)
    assert count("200") == before + 1
    assert durations("200") == took
    assert list(body) == []
    body.close()
    assert (count("200"), durations("200")) == (before + 1, took + 1)


def test_what_is_empty_behind_the_last_part_does_not_count_again(kind: Any) -> None:
    """A generator may give empty parts where all bytes are sent already."""
    before = count("200")
    parts = [b"ab", b"", b""]
    assert list(answered(kind, parts, "200", ("Content-Length", "2"))) == parts
    assert count("200") == before + 1


def test_without_a_length_it_counts_at_the_end(kind: Any) -> None:
    """A stream counts once it is exhausted, or closed before that."""
    before = count("201")
    body: Any = answered(kind, [b"ab", b"cd"], "201")
    next(body)
    next(body)
    assert count("201") == before
    body.close()
    assert count("201") == before + 1


@pytest.mark.parametrize("length", ["", "many", "-3", "99999999", "9" * 40])
def test_a_length_that_is_wrong_is_the_servers_to_judge(kind: Any, length: str) -> None:
    """The request counts once all the same."""
    before = count("200")
    assert list(answered(kind, [b"ab"], "200", ("Content-Length", length))) == [b"ab"]
    assert count("200") == before + 1


@pytest.mark.parametrize("headers", [None, (), [("one",)], [["Content-Length", "2"]], "text", [7]])
def test_headers_of_another_shape_pass(kind: Any, headers: Any) -> None:
    """They are for the server to judge, which gets them as they are."""
    got: list[Any] = []
    before = count("200")
    one = kind.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *given: got.append(given))
    one.start_response("200 OK", headers, "information on an exception")
    assert list(kind.Body([b"ab"], one)) == [b"ab"]
    assert got == [("200 OK", headers, "information on an exception")]
    assert count("200") == before + 1


def test_what_the_server_returns_and_raises_is_passed_on(kind: Any) -> None:
    """start_response returns a writer, and may raise."""

    def refuse(*_: object) -> None:
        raise OSError("gone")

    assert kind.Exchange({}, lambda *_: "writer").start_response("200 OK", []) == "writer"
    with pytest.raises(OSError, match="gone"):
        kind.Exchange({}, refuse).start_response("200 OK", [])
    with pytest.raises(OSError, match="gone"):
        kind.Exchange({}, refuse).start_response(None, [])


def test_the_rule_of_the_request_is_its_route(kind: Any) -> None:
    """As Flask matched it; a request that matched none is unmatched."""
    matched = SimpleNamespace(rule="/a/<int:b>")
    for rule, route in ((None, exchange.UNMATCHED), (matched, "/a/<int:b>")):
        before = count("404", route)
        one = kind.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *_: None)
        one.request = SimpleNamespace(url_rule=rule)
        one.start_response("404 NOT FOUND", [])
        one.ended()
        assert count("404", route) == before + 1
        assert one.request is None


def broken(error: type[BaseException]) -> Iterator[bytes]:
    yield b"ab"
    raise error("of the application")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_body_that_fails_is_an_error_of_the_server(kind: Any, error: type[BaseException]) -> None:
    """The exception passes; the server then closes the body, and the request counts as 500."""
    before = count("500")
    body: Any = answered(kind, broken(error), "200")
    assert next(body) == b"ab"
    with pytest.raises(error, match="of the application"):
        next(body)
    body.close()
    assert count("500") == before + 1


def test_closing_closes_the_body_and_tells_its_exception(kind: Any) -> None:
    """What it raises passes, after the request was recorded."""

    class Closed(list[bytes]):
        def close(self) -> None:
            raise ValueError("of the application")

    before = count("200")
    body: Any = answered(kind, Closed([b"a"]), "200")
    with pytest.raises(ValueError, match="of the application"):
        body.close()
    assert count("200") == before + 1


def test_only_a_body_with_a_length_has_one(kind: Any) -> None:
    """Servers make a Content-Length of it."""
    one = kind.Exchange({}, lambda *_: None)
    assert len(kind.SizedBody([b"a", b"b"], one)) == 2
    assert not hasattr(kind.Body([b"a"], one), "__len__")
    assert len(kind.watched((b"a", b"b"), one)) == 2
    assert not hasattr(kind.watched(iter([b"a"]), one), "__len__")
    with pytest.raises(TypeError):
        kind.Body(7, one)


def test_a_fault_of_our_own_is_logged_once_and_no_more(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer goes out as it is."""
    for _ in range(2):
        one = kind.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *_: None)
        one.request = object()  # without a rule
        one.start_response("200 OK", [("Content-Length", "2")])
        assert list(kind.Body([b"ab"], one)) == [b"ab"]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert len(caplog.records) <= 2  # counting, and recording


def test_a_time_limit_of_the_application_passes(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal raises inside a hook is the application's: no fault of ours."""

    class TimeIsUp(Exception):
        pass

    def strike(*_: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGUSR1, strike)
    one = kind.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *_: None)
    monkeypatch.setattr(exemplars, "sampled", lambda _: signal.raise_signal(signal.SIGUSR1))
    try:
        with pytest.raises(TimeIsUp):
            one.ended()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_odd_answers_are_for_the_server_to_judge(kind: Any) -> None:
    """A status that is no text and headers that are none are passed on as they are."""
    seen: list[Any] = []
    one = kind.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *given: seen.append(given))
    for given in ((200, None), (None, [("Content-Length", b"2")]), (b"200 OK", 7)):
        one.start_response(*given)
    assert seen == [(200, None), (None, [("Content-Length", b"2")]), (b"200 OK", 7)]


def test_a_body_may_be_closed_while_its_part_is_counted(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever runs meanwhile: a greenlet, a callback of the application."""
    one = kind.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *_: None)
    one.start_response("200 OK", [("Content-Length", "2")])
    body = kind.Body([b"ab"], one)

    class Request:
        @property
        def url_rule(self) -> None:
            monkeypatch.setattr(exemplars, "sampled", None)
            body.close()

    one.request = Request()
    del one
    assert list(body) == [b"ab"]


def test_the_span_of_the_request_is_asked_for(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where traces are recorded; it is asked with the request, whose context is gone by then."""
    asked: list[Any] = []
    monkeypatch.setattr(exemplars, "sampled", asked.append)
    one = kind.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *_: None)
    request = one.request = SimpleNamespace(url_rule=None)
    one.ended()
    assert asked == [request]


@pytest.mark.parametrize("environ", [{}, {"REQUEST_METHOD": 7}, {"REQUEST_METHOD": "get"}])
def test_other_methods_are_one(kind: Any, environ: dict[str, Any]) -> None:
    """So that nobody makes series by inventing methods."""
    series: Any = exchange.requests.labels(exchange.OTHER_METHOD, exchange.UNMATCHED, "200")
    series._attach(series)
    before = series.kept()[1]
    one = kind.Exchange(environ, lambda *_: None)
    one.start_response("200 OK", [])
    one.ended()
    assert series.kept()[1] == before + 1


def leftovers(use: Callable[[], None]) -> int:
    use()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        use()
    gc.collect()
    return len(gc.get_objects()) - before


def test_nothing_is_left_of_a_request(kind: Any) -> None:
    """Not even of one that was never ended, although its environ refers to it."""

    def ended() -> None:
        list(answered(kind, [b"ab"], "200", ("Content-Length", "2")))

    def abandoned() -> None:
        environ: dict[str, Any] = {"REQUEST_METHOD": "TRACE"}
        environ["exchange"] = kind.Exchange(environ, lambda *_: None)
        environ["exchange"].request = SimpleNamespace(environ=environ)
        environ["body"] = kind.Body([environ], environ["exchange"])

    assert leftovers(ended) < 10
    assert leftovers(abandoned) < 10
