"""When a request counts, step by step as a server takes its answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from otel_accubooks.instrument import flask


def count(status: str) -> float:
    """Requests counted so far in this process, of a method that only these tests use."""
    return flask._requests.labels("TRACE", flask.UNMATCHED, status).kept()[1]


def durations(status: str) -> float:
    return sum(flask._durations.labels("TRACE", flask.UNMATCHED, status).kept()[2:])


@pytest.fixture(autouse=True)
def placed() -> None:
    for status in ("200", "201", "500"):
        for family in (flask._requests, flask._durations):
            series: Any = family.labels("TRACE", flask.UNMATCHED, status)
            series._attach(series)


def answered(parts: list[bytes], status: str, *headers: tuple[str, str]) -> Iterator[bytes]:
    exchange = flask.Exchange({"REQUEST_METHOD": "TRACE"}, lambda *_: None)
    exchange.start_response(f"{status} X", list(headers))
    return flask.Body(parts, exchange)


def test_it_counts_before_the_last_part_is_sent() -> None:
    """With a Content-Length the server has the last part only after the request was counted."""
    before, took = count("200"), durations("200")
    body = answered([b"ab", b"cd"], "200", ("Content-Length", "4"))
    next(body)
    assert count("200") == before
    next(body)
    assert count("200") == before + 1
    assert durations("200") == took
    assert list(body) == []
    body.close()  # type: ignore[attr-defined]
    assert (count("200"), durations("200")) == (before + 1, took + 1)


def test_without_a_length_it_counts_at_the_end() -> None:
    """A stream counts once it is exhausted, or closed before that."""
    before = count("201")
    body = answered([b"ab", b"cd"], "201")
    next(body)
    next(body)
    assert count("201") == before
    body.close()  # type: ignore[attr-defined]
    assert count("201") == before + 1


@pytest.mark.parametrize("length", ["", "many", "-3", "99999999"])
def test_a_length_that_is_wrong_is_the_servers_to_judge(length: str) -> None:
    """The request counts once all the same."""
    before = count("200")
    assert list(answered([b"ab"], "200", ("Content-Length", length))) == [b"ab"]
    assert count("200") == before + 1
