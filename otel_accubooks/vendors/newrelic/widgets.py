"""New Relic: what a panel of the contract is drawn with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from otel_accubooks.contract.metrics import SYSTEM_HEALTH_STATUS
from otel_accubooks.contract.panel import URGENT, Curve, Dashboard, Panel, Threshold
from otel_accubooks.contract.query import DAY, WINDOW, Last, Query, Reachable, Series
from otel_accubooks.vendors.newrelic.marks import PREFIX, SEVERITIES, policy
from otel_accubooks.vendors.newrelic.nrql import asked, charted, quoted

# An account's number that is filled in when the dashboard is brought there.
ACCOUNT = 0

_UNITS = {
    "ms": "MS",
    "s": "SECONDS",
    "%": "PERCENTAGE",
    "By/s": "BYTES_PER_SECOND",
    "{request}/s": "REQUESTS_PER_SECOND",
}
# Milliseconds between two refreshes that New Relic offers.
_REFRESHES = (5_000, 30_000, 60_000, 300_000)
_TIMES = ((86400, "day"), (3600, "hour"), (60, "minute"))
_SEVERITIES = {"yellow": "warning", "red": "critical"}
_UNHEALTHY = (Threshold(1, "red", below=True),)


@dataclass(frozen=True)
class Widget:
    """One widget; `configuration` is its rawConfiguration."""

    title: str
    visualization: str
    configuration: dict[str, Any]


def widgets(panel: Panel, dashboard: Dashboard) -> list[Widget]:
    """The widgets of a panel: one, or where a panel shows single values, one for each of them."""
    if panel.kind == "alerts":
        return [_alerts(panel, dashboard)]
    if panel.kind == "status":
        return _status(panel, dashboard)
    if panel.kind in ("lines", "bars"):
        return [_series(panel, dashboard)]
    return [_single(panel, curve, dashboard) for curve in panel.curves]


def _series(panel: Panel, dashboard: Dashboard) -> Widget:
    span = panel.span or dashboard.span
    bars = panel.kind == "bars"
    queries = [_over_time(curve, span, slides=not bars) for curve in panel.curves]
    configuration = _configuration(panel, dashboard, *queries)
    configuration["legend"] = {"enabled": True}
    configuration["yAxisLeft"] = {"zero": True} | ({"max": panel.most} if panel.most else {})
    if panel.thresholds:
        configuration["thresholds"] = {"isLabelVisible": True, "thresholds": _thresholds(panel)}
    return Widget(panel.title, "viz.stacked-bar" if bars else "viz.line", configuration)


def _single(panel: Panel, curve: Curve, dashboard: Dashboard) -> Widget:
    title = panel.title
    if len(panel.curves) > 1:
        title = f"{panel.title}: {_name(curve)}"
    configuration = _configuration(panel, dashboard, _now(curve.query, _name(curve) or title))
    configuration["platformOptions"] = {"ignoreTimeRange": True}
    if panel.kind == "pie":
        return Widget(title, "viz.pie", configuration | {"legend": {"enabled": True}})
    if panel.kind == "gauge" and panel.most is not None and not panel.thresholds:
        return Widget(title, "viz.bullet", configuration | {"limit": panel.most})
    # A bullet knows no colours, which a limit with two of them needs more than its bar.
    if panel.thresholds:
        configuration["thresholdsWithSeriesOverrides"] = {"thresholds": _thresholds(panel)}
    return Widget(title, "viz.billboard", configuration)


def _status(panel: Panel, dashboard: Dashboard) -> list[Widget]:
    """Health and reachability, red below 1, and the number of open incidents, yellow above none."""
    names = ", ".join(quoted(policy(s)) for s in SEVERITIES if s in URGENT)
    opened, closed = (
        f"filter(uniqueCount(incidentId), WHERE event = '{event}')" for event in ("open", "close")
    )
    open_now = (
        f"SELECT clamp_min({opened} - {closed}, 0) AS 'alerts' FROM NrAiIncident"
        f" WHERE policyName IN ({names}) SINCE 2 days ago"
    )
    asks: tuple[tuple[str, str, tuple[Threshold, ...]], ...] = (
        ("healthy", _now(Last(Series(SYSTEM_HEALTH_STATUS.name)), "healthy"), _UNHEALTHY),
        ("reachable", _now(Reachable(), "reachable"), _UNHEALTHY),
        ("alerts", open_now, (Threshold(1, "yellow"),)),
    )
    made = []
    for name, query, limits in asks:
        shown = Panel(f"{panel.title}: {name}", "stat", panel.unit, thresholds=limits)
        configuration = _configuration(shown, dashboard, query)
        configuration["platformOptions"] = {"ignoreTimeRange": True}
        configuration["thresholdsWithSeriesOverrides"] = {"thresholds": _thresholds(shown)}
        made.append(Widget(shown.title, "viz.billboard", configuration))
    return made


def _alerts(panel: Panel, dashboard: Dashboard) -> Widget:
    query = (
        "SELECT timestamp, event, priority, policyName, conditionName, title, runbookUrl FROM NrAiIncident"
        f" WHERE policyName LIKE {quoted(PREFIX + '%')} SINCE {_ago(panel.span or DAY)} LIMIT 100"
    )
    configuration = _configuration(panel, dashboard, query)
    return Widget(panel.title, "viz.table", configuration)


def _configuration(panel: Panel, dashboard: Dashboard, *queries: str) -> dict[str, Any]:
    return {
        "nrqlQueries": [{"accountIds": [ACCOUNT], "query": query} for query in queries],
        "units": {"unit": _UNITS.get(panel.unit, "COUNT")},
        "facet": {"showOtherSeries": False},
        "refreshRate": {"frequency": _refresh(dashboard.refresh)},
    }


def _over_time(curve: Curve, span: float, *, slides: bool) -> str:
    """The query over time: windows that overlap, or for bars stand side by side."""
    text = charted(curve.query).text(_name(curve))
    window = getattr(curve.query, "window", None)
    if window is None:
        return f"{text} LIMIT MAX SINCE {_ago(span)} TIMESERIES AUTO"
    # The first window needs its whole length before the span that is shown.
    since = span + (window if window > WINDOW else 0)
    slide = " SLIDE BY AUTO" if slides else ""
    return f"{text} LIMIT MAX SINCE {_ago(since)} TIMESERIES {_time(window)}{slide}"


def _now(query: Query, name: str) -> str:
    # A gauge's series is gone after five minutes.
    window = getattr(query, "window", WINDOW)
    return f"{asked(query).text(name)} LIMIT MAX SINCE {_ago(window)}"


def _name(curve: Curve) -> str:
    """The curve's name without the labels, which New Relic shows by itself."""
    return re.sub(r"\s*,?\s*\{[^}]*\}", "", curve.name).strip(" ,")


def _thresholds(panel: Panel) -> list[dict[str, Any]]:
    """Each from its value to the next one's."""
    rising = sorted((t for t in panel.thresholds if not t.below), key=lambda t: t.value)
    falling = sorted((t for t in panel.thresholds if t.below), key=lambda t: -t.value)
    made = []
    for limits, begin, end in ((rising, "from", "to"), (falling, "to", "from")):
        for number, limit in enumerate(limits, 1):
            one: dict[str, Any] = {"severity": _SEVERITIES[limit.colour], begin: limit.value}
            until = {end: limits[number].value} if number < len(limits) else {}
            made.append(one | until)
    return made


def _refresh(seconds: float) -> int:
    """The longest interval on offer that is no longer than the dashboard's own."""
    return max(
        (one for one in _REFRESHES if one <= 1000 * seconds),
        default=_REFRESHES[0],
    )


def _time(seconds: float) -> str:
    size, unit = next((size, unit) for size, unit in _TIMES if seconds % size == 0)
    number = int(seconds // size)
    return f"{number} {unit}{'s' if number > 1 else ''}"


def _ago(seconds: float) -> str:
    return f"{_time(seconds)} ago"
