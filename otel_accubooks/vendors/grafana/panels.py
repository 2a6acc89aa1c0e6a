"""A panel of the contract: what it asks, what it is called, and which runbooks it leads to."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import DashboardLink, DashboardLinkType
from grafana_foundation_sdk.models.dashboard import Panel as GrafanaPanel

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.metrics import BY_NAME, SYSTEM_HEALTH_STATUS
from otel_accubooks.contract.panel import Panel
from otel_accubooks.contract.query import Query, Reachable, series_of
from otel_accubooks.vendors.addresses import runbook
from otel_accubooks.vendors.grafana.kinds import shape
from otel_accubooks.vendors.grafana.queries import Asked, targets
from otel_accubooks.vendors.promql import duration


def grafana_panel(panel: Panel, asked: Asked, span: float, runbooks: str) -> GrafanaPanel:
    """One panel without its place; `span` is the dashboard's, `runbooks` the runbooks' address."""
    made = shape(panel, runbooks)
    made.title = panel.title
    made.description = _description(panel)
    made.datasource = asked.source
    over_time = panel.kind in ("lines", "bars")
    made.targets = list(targets(panel, asked, panel.span or span, instant=not over_time))
    made.links = [_runbook(alert, runbooks) for alert in alerts_of(panel)] or None
    if over_time and panel.span is not None:
        made.time_from = duration(panel.span)
    return made


def alerts_of(panel: Panel) -> tuple[Alert, ...]:
    """The alerts on what a panel shows."""
    shown = _shown(panel)
    return tuple(
        alert
        for alert in ALERTS
        if shown & {read for condition in alert.conditions for read in _reads(condition.query)}
    )


def _shown(panel: Panel) -> set[str]:
    if panel.kind == "status":
        return {SYSTEM_HEALTH_STATUS.name, str(Reachable())}
    return {read for curve in panel.curves for read in _reads(curve.query)}


def _reads(query: Query) -> Iterator[str]:
    if isinstance(query, Reachable):
        yield str(query)
    yield from (series.metric for series in series_of(query))


def _description(panel: Panel) -> str:
    metrics = [BY_NAME[name] for name in sorted(_shown(panel) & BY_NAME.keys())]
    lines = [f"{metric.name}: {metric.description}." for metric in metrics]
    lines += [f"{alert.severity} {alert.name}: {alert.summary}." for alert in alerts_of(panel)]
    return "\n\n".join(lines) or f"{panel.title}."


def _runbook(alert: Alert, runbooks: str) -> DashboardLink:
    link = DashboardLink(
        title=f"Runbook {alert.name}",
        type_val=DashboardLinkType.LINK,
        url=runbook(runbooks, alert.name),
        target_blank=True,
    )
    # Said by the SDK unasked: it is a place of dashboards' links.
    link.placement = None  # type: ignore[assignment]
    return link
