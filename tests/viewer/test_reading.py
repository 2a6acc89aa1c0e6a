"""What a panel asks, and what it makes of the answer."""

from __future__ import annotations

from otel_accubooks.contract.alerts import BY_NAME
from otel_accubooks.contract.dashboards import BUSINESS_METRICS, OPERATIONS
from otel_accubooks.contract.query import DAY, HOUR, Series, Where, series_of
from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.viewer.reading import View, _Grid, _grid, _values, of_service
from otel_accubooks.viewer.standing import _STEP, _about, _episodes

NOW = 1_700_000_106.0


def test_a_question_is_asked_of_one_service() -> None:
    """Every series set of every panel is narrowed, and nothing else changes."""
    for dashboard in (OPERATIONS, BUSINESS_METRICS):
        for curve in (curve for panel in dashboard.panels for curve in panel.curves):
            narrowed = of_service(curve.query, "shop/api")
            mine = Where("job", "shop/api")
            assert series_of(narrowed) == tuple(
                Series(s.metric, (*s.where, mine)) for s in series_of(curve.query)
            )
            assert type(narrowed) is type(curve.query)


def test_a_curve_is_asked_for_at_round_times() -> None:
    """Two views within one step see the same points."""
    (panel,) = (panel for panel in OPERATIONS.panels if panel.title == "Latency")
    grids = {_grid(panel, View(OPERATIONS, "a", HOUR, moment)) for moment in (NOW, NOW + 5)}
    (grid,) = grids
    assert grid.step == 15
    assert grid.end % 15 == 0
    assert grid.count == 241
    long = _grid(panel, View(OPERATIONS, "a", 3 * DAY, NOW))
    assert long.count == 241
    assert 0 <= NOW - long.end < 60


def test_bars_stand_side_by_side() -> None:
    """An hour's count each hour; what counts a whole day is one bar."""
    by_title = {panel.title: panel for panel in BUSINESS_METRICS.panels}
    view = View(BUSINESS_METRICS, "a", DAY, NOW)
    hourly = _grid(by_title["Scenarios Created"], view)
    assert (hourly.count, hourly.step, hourly.end) == (24, HOUR, NOW)
    assert _grid(by_title["Support Tickets"], view).count == 1


def test_what_is_missing_or_no_number_is_a_gap() -> None:
    """The quantile of nothing is NaN."""
    row = Sample({}, ((100.0, 1.0), (130.0, float("nan")), (145.0, 2.0)))
    assert _values(row, _Grid(100, 15, 4)) == (1.0, None, None, 2.0)


def test_an_alert_that_fired_twice_is_two_episodes() -> None:
    """The second, up to now, is still firing."""
    times = [0, 60, 120, 600, 660, 720]
    labels = {"alertname": "HighLatency", "severity": "P1", "job": "a", "pool": "main"}
    row = Sample(labels, tuple((float(t), 1.0) for t in times))
    first, second = _episodes(row, end=720)
    assert (first.alert, first.what) == (BY_NAME["HighLatency"], "pool main")
    assert (first.began, first.lasted, first.firing) == (0, 120 + _STEP, False)
    assert (second.began, second.lasted, second.firing) == (600, 120 + _STEP, True)


def test_alerts_of_another_service_are_not_this_one_s() -> None:
    """Those of the gateway, and those of nobody's, concern every service."""
    rows = [Sample({"job": job}, ()) for job in ("a", "b", "otel-gateway")] + [Sample({}, ())]
    about = [row.labels.get("job") for row in _about("a", rows, ["a", "b"])]
    assert about == ["a", "otel-gateway", None]
