"""What panels ask of Prometheus."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.prometheus import (
    Dataquery,
    PromQueryFormat,
    QueryEditorMode,
)

from otel_accubooks.contract.alert import Severity
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.metrics import SYSTEM_HEALTH_STATUS
from otel_accubooks.contract.panel import URGENT, Curve, Panel
from otel_accubooks.contract.query import Last, Reachable, Series
from otel_accubooks.vendors.prometheus_rules import INTERVAL_SECONDS
from otel_accubooks.vendors.promql import SERVICE, duration, promql, quoted

ALERTS_SHOWN = 10
UNKNOWN, HEALTHY, WARNED, DOWN = -1, 0, 1, 2
_TOLD: tuple[Severity, ...] = (*URGENT, "P3")
_HEARTBEAT: tuple[Severity, ...] = ("none",)


@dataclass(frozen=True)
class Asked:
    """Of what a dashboard asks: the data source, and the services as a regular expression.

    Without one, as on a public dashboard, each service is shown under its own name.
    """

    source: DataSourceRef
    services: str | None


def targets(panel: Panel, asked: Asked, span: float, *, instant: bool) -> list[Dataquery]:
    """The queries of a panel; `span` is the seconds that it looks back."""
    if panel.kind == "status":
        return [_target("A", status(), "", asked, instant=True)]
    if panel.kind == "alerts":
        table = _target("A", recent_alerts(span), "", asked, instant=True)
        table.format_val = PromQueryFormat.TABLE
        return [table]
    return [
        _target(
            chr(ord("A") + number),
            promql(curve.query, services=asked.services),
            legend(panel, curve, asked),
            asked,
            instant=instant,
        )
        for number, curve in enumerate(panel.curves)
    ]


def status() -> str:
    """How all services stand: 2 while unhealthy or unreachable, else 1 while an alert fires, else 0.

    -1 where that cannot be known: no service says how it is, or no alert rules are evaluated.
    """
    health = promql(Last(Series(SYSTEM_HEALTH_STATUS.name)))
    return (
        f"(vector({DOWN}) and on () (({health}) == 0 or ({promql(Reachable())}) == 0))"
        f" or (vector({WARNED}) and on () {_firing(URGENT)})"
        f" or (vector({HEALTHY}) and on () {_firing(_HEARTBEAT)} and on () ({health}))"
        f" or vector({UNKNOWN})"
    )


def recent_alerts(span: float) -> str:
    """When the alerts that fired last did so, in milliseconds: one row for each alert and service."""
    step = duration(INTERVAL_SECONDS)
    last = f"max_over_time(timestamp({_firing(_TOLD)})[{duration(span)}:{step}])"
    return f"1000 * topk({ALERTS_SHOWN}, max by (alertname, severity, {SERVICE}) ({last}))"


def _firing(severities: tuple[Severity, ...]) -> str:
    """Prometheus' own series of our alerts: those of others are not told of here."""
    names = "|".join(alert.name for alert in ALERTS if alert.severity in severities)
    return f'ALERTS{{alertstate="firing", alertname=~{quoted(names)}}}'


def legend(panel: Panel, curve: Curve, asked: Asked) -> str:
    """The name of a curve, in Grafana's form; with the service's where no variable chooses it."""
    name = re.sub(r"\{(\w+)\}", r"{{\1}}", curve.name)
    if asked.services is not None:
        return name
    return f"{{{{{SERVICE}}}}}" if curve.name == panel.title else f"{name}, {{{{{SERVICE}}}}}"


def _target(ref_id: str, expression: str, name: str, asked: Asked, *, instant: bool) -> Dataquery:
    return Dataquery(
        datasource=asked.source,
        editor_mode=QueryEditorMode.CODE,
        expr=expression,
        format_val=PromQueryFormat.TIME_SERIES,
        instant=instant,
        range_val=not instant,
        legend_format=name or None,
        ref_id=ref_id,
    )
