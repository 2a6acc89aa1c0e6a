"""Every panel of the dashboards as Markdown, with what Prometheus is asked for it."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Panel, Threshold
from otel_accubooks.vendors.promql import duration, promql

_ABOUT = """\
Every panel of the four dashboards, and what Prometheus is asked for each of its curves, in the words of
[queries.md](queries.md) and in PromQL. [dashboards.md](dashboards.md) shows them, and says how Grafana,
Datadog, New Relic and the viewer come to have them."""


def page() -> str:
    """The whole page."""
    lines = ["# Panels", "", _ABOUT, ""]
    for dashboard in DASHBOARDS:
        lines += [f"## {dashboard.title}", ""]
        for section in dashboard.sections:
            for panel in section.panels:
                lines += [*_panel(panel, section.title), ""]
    return "\n".join(lines).rstrip() + "\n"


def _panel(panel: Panel, section: str) -> Iterator[str]:
    yield from (f"### {panel.title}", "")
    yield f"- {panel.kind}, unit `{panel.unit}`, under {section}"
    if panel.span is not None:
        yield f"- looks back {duration(panel.span)}"
    yield from (f"- {_limit(threshold)}" for threshold in panel.thresholds)
    for curve in panel.curves:
        asked = promql(curve.query)
        yield from ("", f"{curve.name}: `{curve.query}`", "", "```promql", asked, "```")


def _limit(threshold: Threshold) -> str:
    direction = "below" if threshold.below else "from"
    return f"{threshold.colour} {direction} {threshold.value:g}"
