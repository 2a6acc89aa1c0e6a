"""What queries and alerts mean, by example."""

from __future__ import annotations

import pytest

from otel_accubooks.contract.alerts import BY_NAME
from otel_accubooks.contract.evaluation import Recorded, Watch, evaluate
from otel_accubooks.contract.query import (
    Always,
    Growth,
    Last,
    Mean,
    Peak,
    Quantile,
    Quotient,
    Reachable,
    Series,
    Share,
    Where,
)

REQUESTS = Series("http_requests_total")
ERRORS = Series("http_requests_total", (Where("status_code", "5", prefix=True),))
LATENCY = Series("http_request_duration_ms")


def counted(*rows: tuple[float, float], status: str = "200") -> Recorded:
    recorded = Recorded()
    for time, value in rows:
        recorded.add("http_requests_total", time, (value,), status_code=status)
    return recorded


def test_growth_is_that_of_the_window() -> None:
    """From the last value before the window to the newest in it."""
    recorded = counted((0, 100), (60, 110), (120, 130), (360, 135))
    assert evaluate(Growth((REQUESTS,), 300), recorded, 360) == {(): 25}
    assert evaluate(Growth((REQUESTS,), 300, per=60), recorded, 360) == {(): 5}


def test_a_counter_that_begins_anew_grows_from_zero() -> None:
    assert evaluate(Growth((REQUESTS,)), counted((0, 100), (60, 7), (90, 9)), 300) == {(): 9}


def test_a_series_that_is_new_grew_from_zero() -> None:
    assert evaluate(Growth((REQUESTS,)), counted((250, 3)), 300) == {(): 3}


def test_a_share_is_none_while_nothing_happens() -> None:
    """And 0 where no error ever was, since the series of the errors is not there then."""
    recorded = counted((0, 100), (60, 200), (400, 200))
    assert evaluate(Share(ERRORS, (REQUESTS,)), recorded, 100) == {(): 0}
    assert evaluate(Share(ERRORS, (REQUESTS,)), recorded, 700) == {}


def test_a_share_adds_up_before_it_divides() -> None:
    recorded = counted((0, 0), (60, 90))
    recorded.add("http_requests_total", 0, (0,), status_code="503", instance="2")
    recorded.add("http_requests_total", 60, (10,), status_code="503", instance="2")
    assert evaluate(Share(ERRORS, (REQUESTS,)), recorded, 60) == {(): 10}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("db_active_connections", 7), ("system_health_status", 3), ("active_users_concurrent", 4)],
)
def test_gauges_add_up_over_hosts_as_the_contract_says(metric: str, expected: float) -> None:
    """Connections are a sum, health is the worst, users the highest."""
    recorded = Recorded()
    recorded.add(metric, 0, (3,), instance="1")
    recorded.add(metric, 10, (4,), instance="2")
    assert evaluate(Last(Series(metric)), recorded, 20) == {(): expected}


def test_a_series_is_gone_after_five_silent_minutes() -> None:
    recorded = Recorded()
    recorded.add("active_users_concurrent", 0, (3,))
    assert evaluate(Last(Series("active_users_concurrent")), recorded, 299) == {(): 3}
    assert evaluate(Last(Series("active_users_concurrent")), recorded, 300) == {}


def test_a_peak_is_the_highest_of_the_window() -> None:
    """What it was when the window began counts too, and where a host is gone, what remains."""
    recorded = Recorded()
    for time, value in ((0, 9), (100, 3), (200, 5), (300, 1)):
        recorded.add("active_users_concurrent", time, (value,))
    users = Last(Series("active_users_concurrent"))
    assert evaluate(Peak(users, 190), recorded, 300) == {(): 5}
    assert evaluate(Peak(users, 201), recorded, 300) == {(): 9}
    recorded.add("system_uptime_seconds", 0, (7,))
    recorded.add("system_uptime_seconds", 200, (40,), instance="2")
    assert evaluate(Peak(Last(Series("system_uptime_seconds")), 300), recorded, 310) == {(): 40}


def test_quantiles_and_means() -> None:
    """Ten observations between 50 and 100 ms, ten beyond the last bound."""
    recorded = Recorded()
    recorded.add("http_request_duration_ms", 10, (80_750, 0, 0, 10, 0, 0, 0, 0, 0, 10))
    assert evaluate(Quantile(0.25, LATENCY), recorded, 20) == {(): 75}
    assert evaluate(Quantile(0.99, LATENCY), recorded, 20) == {(): 5000}
    assert evaluate(Mean(LATENCY), recorded, 20) == {(): 4037.5}
    assert evaluate(Quantile(0.5, LATENCY), recorded, 900) == {}


def test_nothing_is_divided_by_zero() -> None:
    recorded = Recorded()
    for metric, value in (("db_active_connections", 4), ("db_pool_max_connections", 0)):
        recorded.add(metric, 0, (value,), pool="books")
    active = Last(Series("db_active_connections"), by=("pool",))
    most = Last(Series("db_pool_max_connections"), by=("pool",))
    assert evaluate(Quotient(active, most, 100), recorded, 10) == {}
    assert evaluate(Quotient(active, Always()), recorded, 10) == {}


def test_reachable_is_looked_at_from_outside() -> None:
    recorded = Recorded(unreachable=[(100, 200)])
    assert [evaluate(Reachable(), recorded, now)[()] for now in (99, 100, 200)] == [1, 0, 1]


def test_an_alert_fires_when_its_condition_has_held() -> None:
    """At the edge of its time, and not again after a moment of health."""
    recorded = Recorded(unreachable=[(60, 300), (315, 600)])
    watch = Watch(BY_NAME["SystemUnreachable"])
    fired = [now for now in range(0, 601, 15) if watch.fires(recorded, now)]
    assert fired == [*range(240, 300, 15), *range(495, 600, 15)]


def test_an_alert_on_a_share_is_silent_while_nearly_nothing_happens() -> None:
    """Four requests in five minutes, all failed: no alarm. Forty: alarm."""
    for number, expected in ((4, False), (40, True)):
        watch = Watch(BY_NAME["HighErrorRate"])
        recorded = counted(
            *((t, number * (t // 300 + 1)) for t in range(0, 1201, 15)), status="500"
        )
        assert watch.fires(recorded, 600) is False
        assert any(watch.fires(recorded, now) for now in range(615, 1201, 15)) is expected
