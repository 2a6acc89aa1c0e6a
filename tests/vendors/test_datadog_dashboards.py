"""Each panel shows in Datadog what the contract says; percentiles are switched on where they are asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.panel import Dashboard, Panel
from otel_accubooks.contract.query import DAY, HOUR, Quantile, Share, series_of
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.datadog import files
from otel_accubooks.vendors.datadog.checking import check
from otel_accubooks.vendors.datadog.units import number_format

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
)
FILES = {path: json.loads(text) for path, text in files(TO).items()}
PANELS = [
    pytest.param(dashboard, section, panel, id=f"{dashboard.name}-{panel.title}")
    for dashboard in DASHBOARDS
    for section in dashboard.sections
    for panel in section.panels
]
EVERY_PANEL = pytest.mark.parametrize(("dashboard", "section", "panel"), PANELS)
TYPES = {
    "lines": {"timeseries"},
    "bars": {"timeseries"},
    "stat": {"query_value", "toplist"},
    "gauge": {"query_value", "toplist"},
    "pie": {"sunburst"},
    "status": {"query_value", "manage_status"},
    "alerts": {"list_stream"},
}


def widgets(dashboard: Dashboard, section: Any, panel: Panel) -> list[Any]:
    groups = FILES[f"dashboards/{dashboard.name}.json"]["widgets"]
    (group,) = [one for one in groups if one["definition"]["title"] == section.title]
    found = [one["definition"] for one in group["definition"]["widgets"]]
    return [
        one
        for one in found
        if one["title"] == panel.title
        or one["title"].startswith((f"{panel.title},", f"{panel.title}:"))
    ]


@EVERY_PANEL
def test_a_panel_is_shown_by_its_kind(dashboard: Dashboard, section: Any, panel: Panel) -> None:
    found = widgets(dashboard, section, panel)
    assert found
    assert {one["type"] for one in found} <= TYPES[panel.kind]


@EVERY_PANEL
def test_a_panel_asks_what_its_curves_ask(dashboard: Dashboard, section: Any, panel: Panel) -> None:
    """Each series, filter, group and window."""
    text = json.dumps(widgets(dashboard, section, panel))
    for curve in panel.curves:
        for series in series_of(curve.query):
            assert f":{series.metric}{{$service" in text
            assert all(f"{one.label}:{one.value.lower()}" in text for one in series.where)
        for label in getattr(curve.query, "by", ()):
            assert ("host" if label == "instance" else label) in text
        window = getattr(curve.query, "window", None)
        if window is not None:
            span = {HOUR: '"1h"', DAY: '"1d"'}.get(window, "no span")
            assert f"{window:.0f}" in text or span in text


@EVERY_PANEL
def test_thresholds_are_drawn(dashboard: Dashboard, section: Any, panel: Panel) -> None:
    """As lines in a graph, as colours of a number."""
    for one in widgets(dashboard, section, panel):
        if one["type"] == "timeseries":
            assert [marker["value"] for marker in one["markers"]] == [
                f"y = {threshold.value:g}" for threshold in panel.thresholds
            ]
        elif panel.thresholds:
            formats = one["requests"][0]["formulas"][0]["conditional_formats"]
            assert [one["value"] for one in formats[:-1]] == [
                threshold.value
                for threshold in sorted(panel.thresholds, key=lambda one: one.colour != "red")
            ]
            assert formats[-1]["palette"] == "white_on_green"


def test_a_share_is_of_sums() -> None:
    """Never an average of shares."""
    (panel,) = [p for p in DASHBOARDS[1].panels if p.title == "Hit Rate"]
    assert isinstance(panel.curves[0].query, Share)
    one = widgets(DASHBOARDS[1], DASHBOARDS[1].sections[2], panel)[0]
    assert one["requests"][0]["formulas"][0]["formula"] == (
        "100 * moving_rollup(a, 300, 'sum') / "
        "(moving_rollup(b, 300, 'sum') + moving_rollup(c, 300, 'sum'))"
    )


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_a_dashboard_has_its_span_its_teams_and_its_mark(dashboard: Dashboard) -> None:
    one = FILES[f"dashboards/{dashboard.name}.json"]
    seconds = {"minute": 60, "hour": 3600, "day": 86400}[one["default_timeframe"]["unit"]]
    assert one["default_timeframe"]["value"] * seconds == dashboard.span
    assert one["tags"] == [f"team:{team}" for team in dashboard.teams]
    assert one["description"].endswith(f"managed-by:otel-accubooks dashboard:{dashboard.name}")
    assert [v["name"] for v in one["template_variables"]] == ["service"]


def test_a_status_shows_what_fires_of_p0_to_p2() -> None:
    (status,) = [p for p in DASHBOARDS[0].panels if p.kind == "status"]
    health, alerts = widgets(DASHBOARDS[0], DASHBOARDS[0].sections[0], status)
    assert health["requests"][0]["queries"][0]["query"] == "min:system_health_status{$service}"
    assert alerts["query"] == 'tag:"managed-by:otel-accubooks" priority:(p1 OR p2 OR p3)'


def test_percentiles_are_on_exactly_where_one_is_asked() -> None:
    """In an alert or in a panel; with the labels of the metric, and who sent it."""
    text = json.dumps({path: one for path, one in FILES.items() if not path.startswith("tags/")})
    asked = {name for name in BY_NAME if any(f"p{q}:{name}{{" in text for q in (50, 75, 95, 99))}
    configured = {path[5:-5]: one for path, one in FILES.items() if path.startswith("tags/")}
    assert asked
    assert set(configured) == asked
    for name, one in configured.items():
        attributes = one["data"]["attributes"]
        assert attributes["include_percentiles"] is True
        assert set(attributes["tags"]) == {*BY_NAME[name].label_names, "service", "host", "env"}


def test_every_percentile_of_the_contract_is_one_of_datadogs() -> None:
    """It keeps these for a distribution, and no others."""
    curves = [
        curve.query for dashboard in DASHBOARDS for p in dashboard.panels for curve in p.curves
    ]
    shares = {query.q for query in curves if isinstance(query, Quantile)}
    assert shares <= {0.5, 0.75, 0.9, 0.95, 0.99}


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("%", {"type": "canonical_unit", "unit_name": "percent"}),
        ("By/s", {"type": "canonical_unit", "unit_name": "byte", "per_unit_name": "second"}),
        ("{request}/s", {"type": "custom_unit_label", "label": "request/s"}),
        ("{interaction}/h", {"type": "custom_unit_label", "label": "interaction"}),
    ],
)
def test_units(unit: str, expected: dict[str, str]) -> None:
    """A label of ours has at most 12 characters."""
    assert number_format(unit) == {"unit": expected}
    assert number_format("1") is None


@pytest.mark.parametrize(
    ("place", "value", "error"),
    [
        ("titel", "x", "titel: Extra inputs"),
        ("type", "timeserie", "does not match any of the expected tags"),
        ("show_legend", "yes", "show_legend"),
        ("markers", [{"value": "y > 5", "display_type": "error dashed"}], "markers.0.value"),
        ("markers", [{"value": "y = 5", "display_type": "bogus"}], "display_type"),
    ],
)
def test_nonsense_in_a_widget_is_refused(place: str, value: Any, error: str) -> None:
    """Misspelt keys, and values that Datadog does not know."""
    one = json.loads(files(TO)["dashboards/operations.json"])
    one["widgets"][0]["definition"]["widgets"][0]["definition"][place] = value
    with pytest.raises(ValueError, match=error):
        check("dashboard", one, "operations")


@pytest.mark.parametrize(
    ("query", "formula", "error"),
    [
        ("sum:no_such_total{$service}.as_count()", "a", "no metric no_such_total"),
        ("sum:http_requests_total{$service}.as_count()", "a + b", "no formula of a"),
        ("sum:http_requests_total{$service}.as_count()", "bogus(a)", "no formula of a"),
        ("requests", "a", "no selection"),
    ],
)
def test_a_widgets_query_is_checked_too(query: str, formula: str, error: str) -> None:
    one = json.loads(files(TO)["dashboards/operations.json"])
    request = one["widgets"][0]["definition"]["widgets"][0]["definition"]["requests"][0]
    request["queries"][0]["query"] = query
    request["formulas"][0]["formula"] = formula
    with pytest.raises(ValueError, match=error):
        check("dashboard", one, "operations")
