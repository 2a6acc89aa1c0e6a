"""The four dashboards as Datadog's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard as Described
from otel_accubooks.contract.panel import Section as DescribedSection
from otel_accubooks.contract.query import DAY, HOUR, MINUTE
from otel_accubooks.vendors.datadog import messages
from otel_accubooks.vendors.datadog import queries as q
from otel_accubooks.vendors.datadog.panels import widgets
from otel_accubooks.vendors.datadog.widgets import Dashboard, Section, Timeframe

Unit = Literal["minute", "hour", "day"]
_UNITS: tuple[tuple[float, Unit], ...] = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"))


def dashboards() -> Iterator[tuple[str, Dashboard]]:
    """Each, by its name."""
    for dashboard in DASHBOARDS:
        yield dashboard.name, _dashboard(dashboard)


def mark(name: str) -> str:
    """The line of the description by which a dashboard is found again: its tags may only be teams."""
    return f"{messages.MANAGED} dashboard:{name}"


def _dashboard(dashboard: Described) -> Dashboard:
    public = " Suited to public read-only sharing." if dashboard.public else ""
    return {
        "title": dashboard.title,
        "description": f"For {', '.join(dashboard.teams)}.{public}\n\n{mark(dashboard.name)}",
        "layout_type": "ordered",
        "reflow_type": "auto",
        "default_timeframe": _timeframe(dashboard.span),
        "template_variables": [{"name": q.SERVICE, "prefix": q.SERVICE, "defaults": ["*"]}],
        "tags": [f"team:{team}" for team in dashboard.teams],
        "notify_list": [],
        "widgets": [_section(section) for section in dashboard.sections],
    }


def _section(section: DescribedSection) -> Section:
    return {
        "definition": {
            "type": "group",
            "title": section.title,
            "layout_type": "ordered",
            "widgets": [
                {"definition": widget} for panel in section.panels for widget in widgets(panel)
            ],
        }
    }


def _timeframe(seconds: float) -> Timeframe:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return {"type": "live", "value": int(seconds / size), "unit": unit}
