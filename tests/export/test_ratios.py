"""Percentages of a window, from their parts."""

from __future__ import annotations

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric
from otel_accubooks.export.ratios import Windows
from otel_accubooks.recorder.totals import Point, Totals


def totals(**series: float) -> Totals:
    """Totals with a request counter by status, such as s200=90."""
    found = Totals()
    for status, value in series.items():
        labels = ("GET", "/x", status.removeprefix("s"))
        found.points[status.encode(), False] = Point(m.HTTP_REQUESTS_TOTAL, labels, value=value)
    return found


def value(windows: Windows, metric: Metric, found: Totals, now: float) -> float | None:
    values = [p.value for p in windows.percentages(found, now) if p.metric is metric]
    return values[0] if values else None


def test_a_share_is_of_what_was_added_in_the_window() -> None:
    """Old errors leave the share once the window has passed over them."""
    windows = Windows()
    rate = m.HTTP_ERROR_RATE_PERCENT
    assert value(windows, rate, totals(s200=90, s500=10), 0) == 10
    assert value(windows, rate, totals(s200=190, s500=10), 200) == 5
    assert value(windows, rate, totals(s200=290, s500=10), 301) == 0


def test_only_the_named_part_is_an_error() -> None:
    """4xx are answers, 5xx are errors."""
    assert value(Windows(), m.HTTP_ERROR_RATE_PERCENT, totals(s404=50, s503=50), 0) == 50


def test_idle_is_never_a_division_by_zero() -> None:
    """Without any growth in the window, the contract says what the share is."""
    windows = Windows()
    assert value(windows, m.HTTP_ERROR_RATE_PERCENT, totals(s200=0), 0) == 0
    found = Totals()
    for metric in (m.CACHE_HITS_TOTAL, m.CACHE_MISSES_TOTAL):
        found.points[metric.name.encode(), False] = Point(metric, ())
    assert value(windows, m.CACHE_HIT_RATE_PERCENT, found, 0) == 100


def test_nothing_recorded_is_no_share() -> None:
    """An application without a cache has no hit rate."""
    assert value(Windows(), m.CACHE_HIT_RATE_PERCENT, Totals(), 0) is None


def test_shares_are_by_label() -> None:
    """Each queue has a failure rate of its own."""
    found = Totals()
    for queue, failures in (("a", 1.0), ("b", 3.0)):
        for status, number in (("failure", failures), ("success", 4 - failures)):
            point = Point(m.FORECAST_JOBS_PROCESSED_TOTAL, (queue, status), value=number)
            found.points[f"{queue}{status}".encode(), False] = point
    shares = {
        p.labels: p.value
        for p in Windows().percentages(found, 0)
        if p.metric is m.FORECAST_JOB_FAILURE_RATE_PERCENT
    }
    assert shares == {("a",): 25, ("b",): 75}


def test_what_an_older_service_did_before_is_not_of_the_window() -> None:
    """A new exporter does not take errors of last week for those of five minutes."""
    windows = Windows()
    rate = m.HTTP_ERROR_RATE_PERCENT
    assert value(windows, rate, totals(s200=50, s500=50), 10_000) == 0
    assert value(windows, rate, totals(s200=149, s500=51), 10_100) == 1


def test_a_clock_that_is_set_back_begins_the_window_anew() -> None:
    """What was before it is of a time that is not known; the share is of what came since."""
    windows = Windows()
    rate = m.HTTP_ERROR_RATE_PERCENT
    value(windows, rate, totals(s200=50, s500=50), 20_000)
    assert value(windows, rate, totals(s200=50, s500=50), 10_000) == 0
    assert value(windows, rate, totals(s200=140, s500=60), 10_100) == 10
    assert value(windows, rate, totals(s200=240, s500=60), 10_401) == 0
