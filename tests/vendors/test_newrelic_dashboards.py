"""Each panel shows in New Relic what the contract asks, drawn by what New Relic has for it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from newrelic_schema import RAW, refusals
from nrql_reader import read
from test_newrelic import FILES, KNOWN

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard, Panel
from otel_accubooks.contract.query import Growth, Peak, Quantile, Share, series_of

INCIDENTS = {
    "timestamp", "event", "priority", "policyName", "conditionName", "title", "runbookUrl", "incidentId"
}  # fmt: skip
PANELS = [
    pytest.param(dashboard, panel, id=f"{dashboard.name}: {panel.title}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
]
CURVED = [one for one in PANELS if one.values[1].curves]  # type: ignore[union-attr]
KINDS = {
    "lines": {"viz.line"},
    "bars": {"viz.stacked-bar"},
    "stat": {"viz.billboard"},
    "gauge": {"viz.billboard", "viz.bullet"},
    "pie": {"viz.pie"},
    "status": {"viz.billboard"},
    "alerts": {"viz.table"},
}


def rendered(dashboard: Dashboard) -> Any:
    return json.loads(FILES[f"dashboards/{dashboard.name}.json"])


def all_widgets(dashboard: Dashboard) -> list[dict[str, Any]]:
    (page,) = rendered(dashboard)["pages"]
    return list(page["widgets"])


def widgets_of(dashboard: Dashboard, panel: Panel) -> list[dict[str, Any]]:
    pattern = rf"{re.escape(panel.title)}(: .*)?"
    return [one for one in all_widgets(dashboard) if re.fullmatch(pattern, one.get("title", ""))]


def queries_of(widgets: list[dict[str, Any]]) -> list[str]:
    return [query["query"] for one in widgets for query in one["rawConfiguration"]["nrqlQueries"]]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_a_dashboard_is_an_input_of_new_relic(dashboard: Dashboard) -> None:
    """Every name in it, also within what New Relic itself does not look into."""
    assert refusals("DashboardInput", rendered(dashboard)) == []
    for widget in all_widgets(dashboard):
        assert refusals(RAW[widget["visualization"]["id"]], widget["rawConfiguration"]) == []


def test_the_schema_refuses_what_no_widget_has() -> None:
    """A misspelt setting, and a colour for a severity."""
    widget = {"nrqlQueries": [], "treshold": 1}
    assert any("treshold" in one for one in refusals("RawBillboard", widget))
    colours = {"thresholds": [{"from": 1, "severity": "red"}]}
    told = refusals("RawBillboard", {"nrqlQueries": [], "thresholdsWithSeriesOverrides": colours})
    assert any("red" in one for one in told)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_widgets_stand_side_by_side(dashboard: Dashboard) -> None:
    """None over another, none beyond the twelve columns."""
    taken: set[tuple[int, int]] = set()
    for widget in all_widgets(dashboard):
        at = widget["layout"]
        cells = {
            (column, row)
            for column in range(at["column"], at["column"] + at["width"])
            for row in range(at["row"], at["row"] + at["height"])
        }
        assert not cells & taken
        assert {column for column, _ in cells} <= set(range(1, 13))
        taken |= cells


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_each_section_has_its_heading(dashboard: Dashboard) -> None:
    """In the order of the contract, above its panels."""
    headings = [
        one["rawConfiguration"]["text"]
        for one in all_widgets(dashboard)
        if one["visualization"]["id"] == "viz.markdown"
    ]
    assert headings == [f"## {section.title}" for section in dashboard.sections]


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_a_panel_is_drawn_by_its_kind(dashboard: Dashboard, panel: Panel) -> None:
    """One widget for lines, bars, pies and tables; one for each figure."""
    widgets = widgets_of(dashboard, panel)
    assert {one["visualization"]["id"] for one in widgets} <= KINDS[panel.kind]
    if panel.kind in ("stat", "gauge"):
        assert len(widgets) == len(panel.curves)
    elif panel.kind == "status":
        assert len(widgets) == 3
    else:
        assert len(widgets) == 1


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_queries_read_only_what_is_known(dashboard: Dashboard, panel: Panel) -> None:
    """They are NRQL, of metrics and labels of the contract, and one for each curve."""
    texts = queries_of(widgets_of(dashboard, panel))
    for text in texts:
        asking = read(text)
        source = asking.source if isinstance(asking.source, str) else asking.source.source
        known = INCIDENTS if source == "NrAiIncident" else KNOWN[str(source)]
        assert asking.attributes() <= known
    if panel.curves:
        assert len(texts) == len(panel.curves)
    for curve, text in zip(panel.curves, texts, strict=False):
        assert {series.metric for series in series_of(curve.query)} <= read(text).attributes()


@pytest.mark.parametrize(("dashboard", "panel"), CURVED)
def test_a_value_is_computed_over_the_querys_window(dashboard: Dashboard, panel: Panel) -> None:
    """Over time in windows of that length, else since so long ago."""
    spans = {300.0: "5 minutes", 3600.0: "1 hour", 86400.0: "1 day"}
    for curve, text in zip(panel.curves, queries_of(widgets_of(dashboard, panel)), strict=True):
        clauses = read(text).clauses
        window = getattr(curve.query, "window", None)
        if panel.kind in ("lines", "bars"):
            expected = "AUTO" if window is None else spans[window]
            assert clauses["TIMESERIES"].removesuffix(" SLIDE BY AUTO") == expected
            assert clauses["TIMESERIES"].endswith("SLIDE BY AUTO") is (
                panel.kind == "lines" and window is not None
            )
        else:
            assert clauses["SINCE"] == f"{spans[window or 300.0]} ago"
            assert "TIMESERIES" not in clauses


@pytest.mark.parametrize(("dashboard", "panel"), CURVED)
def test_each_question_has_its_function(dashboard: Dashboard, panel: Panel) -> None:
    """Growth is a sum of deltas, a share one sum by another, a quantile a percentile, a peak the most."""
    for curve, text in zip(panel.curves, queries_of(widgets_of(dashboard, panel)), strict=True):
        query = curve.query
        if isinstance(query, Growth):
            assert "sum(" in text
            rate = f") / {query.window / (query.per or query.window):g}"
            assert (rate in text) is (query.per is not None)
        elif isinstance(query, Share):
            assert re.search(r"100 \* .*sum\(.*\) / .*sum\(", text)
        elif isinstance(query, Quantile):
            assert f"percentile({query.of.metric}, {100 * query.q:g})" in text
        elif isinstance(query, Peak):
            assert f"max({query.of.of.metric})" in text


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_thresholds_are_drawn(dashboard: Dashboard, panel: Panel) -> None:
    """Each from its value to the next one, or up to it, in its colour."""
    if panel.kind == "status":
        return
    severities = {"yellow": "warning", "red": "critical"}
    for widget in widgets_of(dashboard, panel):
        raw = widget["rawConfiguration"]
        drawn = (
            raw.get("thresholds") or raw.get("thresholdsWithSeriesOverrides") or {"thresholds": []}
        )
        edges = {
            (one["severity"], one.get("to" if below else "from"))
            for below in {threshold.below for threshold in panel.thresholds}
            for one in drawn["thresholds"]
        }
        assert edges == {(severities[one.colour], one.value) for one in panel.thresholds}


def test_the_status_is_red_before_it_is_yellow() -> None:
    """Health and reachability are red below 1; what is open of P0 to P2 is yellow from one on."""
    (overview,) = (one for one in DASHBOARDS if one.name == "executive_overview")
    (panel,) = (one for one in overview.panels if one.kind == "status")
    found = {
        one["title"].partition(": ")[2]: one["rawConfiguration"]
        for one in widgets_of(overview, panel)
    }
    drawn = {
        name: raw["thresholdsWithSeriesOverrides"]["thresholds"] for name, raw in found.items()
    }
    red, yellow = [{"severity": "critical", "to": 1}], [{"severity": "warning", "from": 1}]
    assert drawn == {"healthy": red, "reachable": red, "alerts": yellow}
    (query,) = found["alerts"]["nrqlQueries"]
    policies = read(query["query"]).matches[0][2]
    assert policies == ("otel-accubooks P0", "otel-accubooks P1", "otel-accubooks P2")


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_it_is_refreshed_at_least_as_often(dashboard: Dashboard) -> None:
    """At the next shorter interval that New Relic offers."""
    for widget in all_widgets(dashboard):
        if widget["visualization"]["id"] != "viz.markdown":
            frequency = widget["rawConfiguration"]["refreshRate"]["frequency"]
            assert frequency <= 1000 * dashboard.refresh
            assert frequency in (5_000, 30_000, 60_000, 300_000)
