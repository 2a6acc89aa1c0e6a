"""The dashboards, as the contract has them."""

from __future__ import annotations

import re

import pytest

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.metrics import BY_NAME as METRICS
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.contract.query import INSTANCE, Peak, Quotient, series_of

EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)


def test_there_are_four() -> None:
    """Names, refresh in seconds, and how many panels."""
    assert {d.name: (d.refresh, len(d.panels)) for d in DASHBOARDS} == {
        "executive_overview": (30, 8),
        "operations": (10, 20),
        "database_performance": (10, 7),
        "business_metrics": (300, 12),
    }


@EACH
def test_every_panel_shows_something_that_is_measured(dashboard: Dashboard) -> None:
    """Its metrics exist and have the labels of its grouping; status and alerts need no query."""
    for panel in dashboard.panels:
        assert bool(panel.curves) != (panel.kind in ("status", "alerts"))
        for curve in panel.curves:
            query = curve.query.of if isinstance(curve.query, Peak) else curve.query
            by = () if isinstance(query, Quotient) else getattr(query, "by", ())
            for series in series_of(query):
                assert set(by) - {INSTANCE} <= set(METRICS[series.metric].label_names)
            assert set(re.findall(r"\{(\w+)\}", curve.name)) <= set(by)


@EACH
def test_titles_tell_panels_apart(dashboard: Dashboard) -> None:
    """No two panels of a dashboard have the same title."""
    titles = [panel.title for panel in dashboard.panels]
    assert len(titles) == len(set(titles))


def test_only_the_executive_dashboard_is_public() -> None:
    assert [d.name for d in DASHBOARDS if d.public] == ["executive_overview"]
