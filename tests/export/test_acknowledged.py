"""Growth since the last acknowledgement."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_accubooks.contract import metrics as m
from otel_accubooks.export.acknowledged import Acknowledged
from otel_accubooks.recorder.totals import Point


def hits(value: float) -> list[Point]:
    return [Point(m.CACHE_HITS_TOTAL, (), start=1.0, value=value)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(steps=st.lists(st.tuples(st.integers(0, 1000), st.booleans(), st.booleans())))
def test_the_sum_of_acknowledged_growth_is_the_total(
    tmp_path: Path, steps: list[tuple[int, bool, bool]]
) -> None:
    """Whatever fails to arrive, and whoever takes over, no growth is left out or told twice."""
    path = tmp_path / "acknowledged"
    path.unlink(missing_ok=True)
    known = Acknowledged(path)
    total, arrived = 0.0, 0.0
    for growth, acknowledged, successor in [*steps, (0, True, False)]:
        total += growth
        if successor:
            known = Acknowledged(path)
        (point,) = known.added(hits(total))
        if acknowledged:
            arrived += point.value
            known.acknowledge(hits(total), 2.0)
    assert arrived == total


def test_a_new_series_is_counted_from_nothing() -> None:
    """The baseline of what was never acknowledged is 0, with the same start."""
    known = Acknowledged()
    known.acknowledge(hits(5), 2.0)
    fresh = Point(m.CACHE_MISSES_TOTAL, (), start=3.0, value=7)
    assert [(p.value, p.start) for p in known.baseline([*hits(9), fresh])] == [(5, 1.0), (0, 3.0)]


def test_gauges_have_no_baseline() -> None:
    """What is not a sum is not counted from anywhere."""
    assert Acknowledged().baseline([Point(m.FORECAST_QUEUE_DEPTH, ("q",), value=3)]) == []


def test_a_histogram_grows_by_bucket() -> None:
    """Growth of a histogram is that of each of its buckets, and of its sum."""
    known = Acknowledged()
    first = Point(m.CACHE_OPERATION_DURATION_MS, ("get",), counts=[1, 2, 3], total=10)
    later = Point(m.CACHE_OPERATION_DURATION_MS, ("get",), counts=[1, 5, 4], total=40)
    known.acknowledge([first], 1.0)
    (grown,) = known.added([later])
    assert (grown.counts, grown.total) == ([0, 3, 1], 30)


def test_growth_never_begins_in_the_future() -> None:
    """Also after the clock was set back behind the last acknowledgement."""
    known = Acknowledged()
    known.acknowledge(hits(3), time.time() + 3600)
    (point,) = known.added(hits(5))
    assert point.value == 2
    assert point.start <= time.time()
