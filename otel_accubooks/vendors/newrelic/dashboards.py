"""New Relic: the contract's dashboards, one page with a row of widgets under each heading.

Source: https://docs.newrelic.com/docs/apis/nerdgraph/examples/create-widgets-dashboards-api/
"""

from __future__ import annotations

from typing import Any

from otel_accubooks.contract.panel import Dashboard, Panel, Section
from otel_accubooks.vendors.newrelic.widgets import Widget, widgets

COLUMNS = 12
_HEIGHT = 3
_HEADING = 1
_WIDTHS = {1: 12, 2: 6, 3: 4}
_WIDTH = 3


def title(dashboard: Dashboard) -> str:
    """Its name in the account."""
    return f"AccuBooks {dashboard.title}"


def dashboard(dashboard: Dashboard) -> dict[str, Any]:
    """The DashboardInput; the account of its queries is 0."""
    placed: list[dict[str, Any]] = []
    row = 1
    for section in dashboard.sections:
        placed.append(_heading(section, row))
        row = _place(section.panels, dashboard, row + _HEADING, placed)
    return {
        "name": title(dashboard),
        "description": f"For {' and '.join(dashboard.teams)}.",
        "permissions": "PUBLIC_READ_ONLY",
        "pages": [{"name": dashboard.title, "description": None, "widgets": placed}],
    }


def _place(
    panels: tuple[Panel, ...], dashboard: Dashboard, row: int, placed: list[dict[str, Any]]
) -> int:
    """Puts the panels' widgets from `row` on, and returns the row below them."""
    made = [widget for panel in panels for widget in widgets(panel, dashboard)]
    width = _WIDTHS.get(len(made), _WIDTH)
    column = 1
    for widget in made:
        wide = COLUMNS if widget.visualization == "viz.table" else width
        if column + wide > COLUMNS + 1:
            column, row = 1, row + _HEIGHT
        placed.append(_placed(widget, column, row, wide, _HEIGHT))
        column += wide
    return row + _HEIGHT


def _heading(section: Section, row: int) -> dict[str, Any]:
    text = Widget("", "viz.markdown", {"text": f"## {section.title}"})
    return _placed(text, 1, row, COLUMNS, _HEADING)


def _placed(widget: Widget, column: int, row: int, width: int, height: int) -> dict[str, Any]:
    titled = {"title": widget.title} if widget.title else {}
    return {
        **titled,
        "visualization": {"id": widget.visualization},
        "layout": {"column": column, "row": row, "width": width, "height": height},
        "rawConfiguration": widget.configuration,
    }
