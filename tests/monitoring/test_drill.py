"""Errors on purpose: what is asked, what is told, and what is measured."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_accubooks.export.ratios import Growth
from otel_accubooks.instrument import exchange
from otel_accubooks.monitoring import drill as drill_module
from otel_accubooks.monitoring.drill import Drill, Drills, Refused, asked, body_of, outlook
from otel_accubooks.monitoring.service import Service
from otel_accubooks.recorder.recorder import Recorder

LABELS = ("POST", "/api/test/trigger-errors", "500")


def posted(body: str) -> dict[str, Any]:
    return {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body.encode())}


def refused(body: str) -> Refused:
    with pytest.raises(Refused) as caught:
        asked(body_of(posted(body)))
    return caught.value


def over(drills: Drills) -> bool:
    give_up = time.monotonic() + 60
    while drills._running is not None and time.monotonic() < give_up:
        time.sleep(0.02)
    return drills._running is None


@pytest.mark.parametrize(
    ("body", "drill"),
    [
        ('{"count": 100, "duration": "5m"}', (100, 300)),
        ('{"duration": "1h", "count": 10000}', (10_000, 3600)),
        ('{"count": 1, "duration": "1s"}', (1, 1)),
        ('{"count": 100, "duration": "1s"}', (100, 1)),
    ],
)
def test_a_drill_has_a_count_and_a_duration(body: str, drill: tuple[int, int]) -> None:
    """Up to the bounds themselves."""
    assert asked(body_of(posted(body))) == drill


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "the body is no JSON"),
        ("count=1", "the body is no JSON"),
        ("[" * 4000, "the body is no JSON"),
        (f'{{"count": {"1" * 5000}}}', "the body has 5011 bytes"),
        ("[1]", "found list, expected the keys count and duration"),
        ("{}", "found nothing, expected the keys"),
        ('{"count": 1}', "found count, expected the keys"),
        ('{"count": 1, "duration": "1s", "status": 500}', "found count, duration, status"),
        ('{"count": 0, "duration": "1s"}', "count is 0, expected a whole number from 1 to 10000"),
        ('{"count": 10001, "duration": "1h"}', "count is 10001"),
        ('{"count": true, "duration": "1s"}', "count is True"),
        ('{"count": "5", "duration": "1s"}', "count is '5'"),
        ('{"count": 1.5, "duration": "1s"}', "count is 1.5"),
        ('{"count": 1, "duration": 300}', "duration is 300, expected 1s to 1h"),
        ('{"count": 1, "duration": "0s"}', "duration is '0s'"),
        ('{"count": 1, "duration": "61m"}', "duration is '61m'"),
        ('{"count": 1, "duration": "5 m"}', "duration is '5 m'"),
        ('{"count": 1, "duration": "-1s"}', "duration is '-1s'"),
        ('{"count": 101, "duration": "1s"}', "101 errors a second, expected 100 at most: spread"),
    ],
)
def test_anything_else_is_refused_in_one_line(body: str, said: str) -> None:
    """400, with what was found and what was expected."""
    problem = refused(body)
    assert problem.status == 400
    assert said in str(problem)


def test_each_error_is_measured_as_a_request_is(recorder: Recorder) -> None:
    """Exactly as many as were asked for, in both metrics, and then it is over."""
    requests: Any = exchange.requests.labels(*LABELS)
    durations: Any = exchange.durations.labels(*LABELS)
    for series in (requests, durations):
        series._attach(series)
    before, took = requests.kept()[1], sum(durations.kept()[2:])
    drills = Drills(Service())
    told = drills.start(posted('{"count": 30, "duration": "1s"}'))
    assert (told["count"], told["duration_seconds"], told["per_second"]) == (30, 1, 30)
    assert over(drills)
    assert requests.kept()[1] - before == 30
    assert sum(durations.kept()[2:]) - took == 30


def test_one_drill_at_a_time(recorder: Recorder) -> None:
    """409 tells what runs; after it there may be another."""
    drills = Drills(Service())
    first = drills.start(posted('{"count": 1, "duration": "1s"}'))
    with pytest.raises(Refused) as caught:
        drills.start(posted('{"count": 7, "duration": "5s"}'))
    assert caught.value.status == 409
    assert caught.value.more["running"].items() <= first.items()
    assert over(drills)
    assert drills.start(posted('{"count": 1, "duration": "1s"}'))["count"] == 1
    assert over(drills)


def test_without_threads_there_is_no_drill(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 says what to start the server with; nothing is left that looks like a running drill."""
    monkeypatch.setattr(drill_module, "in_background", lambda _: False)
    drills = Drills(Service())
    for _ in range(2):
        with pytest.raises(Refused, match="--enable-threads") as caught:
            drills.start(posted('{"count": 1, "duration": "1s"}'))
        assert caught.value.status == 503


def test_a_process_alone_drills_too(alone: Recorder) -> None:
    """Where no folder can be shared, the process itself keeps to one at a time."""
    drills = Drills(Service())
    drills.start(posted('{"count": 1, "duration": "1s"}'))
    with pytest.raises(Refused):
        drills.start(posted('{"count": 1, "duration": "1s"}'))
    assert over(drills)


def test_the_example_of_the_guide_is_judged_by_the_traffic() -> None:
    """100 errors in 5 minutes are enough for a quiet service, not at 100 requests a second."""
    drill = Drill(100, 300, 0.0)
    quiet = outlook(drill, Growth(0.0, 600.0, 300.0))
    assert quiet["over_1_percent"] is True
    busy = outlook(drill, Growth(0.0, 30_000.0, 300.0))
    assert busy["over_1_percent"] is False
    assert busy["count_for_over_1_percent"] == 304
    assert busy["count_for_over_1_percent_for_5_minutes"] == 607
    json.dumps(busy)


def share_over_time(requests: float, count: int, seconds: int) -> Callable[[float], float]:
    """The share of errors in the 5 minutes before a moment, with `requests` in each 5 minutes."""

    def share(at: float) -> float:
        added = count / seconds * max(0.0, min(at, seconds) - max(0.0, at - 300))
        return added / (requests + added)

    return share


@settings(deadline=None)
@given(requests=st.integers(100, 100_000), seconds=st.integers(1, 3600))
def test_the_counts_that_are_told_are_those_that_do_it(requests: int, seconds: int) -> None:
    """Drawn over time: with that many the share is over 1 % at all, or for 5 minutes; with a tenth
    less it is not."""
    told = outlook(Drill(1, seconds, 0.0), Growth(0.0, float(requests), 300.0))
    moments = [at / 2 for at in range(2 * (seconds + 300) + 1)]

    def seconds_over(count: int) -> float:
        share = share_over_time(requests, count, seconds)
        return sum(1 for at in moments if share(at) > 0.01) / 2

    at_all = told["count_for_over_1_percent"]
    held = told["count_for_over_1_percent_for_5_minutes"]
    # Half seconds are looked at: the very top may fall between two of them.
    assert seconds_over(at_all + 1 + at_all // 100) > 0
    assert seconds_over(int(at_all * 0.9) - 1) == 0
    assert seconds_over(held) >= 299
    assert seconds_over(int(held * 0.9) - 2) < 300
