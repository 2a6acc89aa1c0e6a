"""Prometheus: the contract's alerts as recording and alert rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otel_accubooks.contract.alert import Alert, Condition
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.query import HOUR
from otel_accubooks.vendors.addresses import runbook
from otel_accubooks.vendors.promql import SERVICE, Growths, duration, promql, quoted

INTERVAL_SECONDS = 15.0
# Growth of a day is dear to compute and slow to change; a series is stale after five minutes.
SLOW_INTERVAL_SECONDS = 60.0


def rules(runbooks: str, alerts: Sequence[Alert] = ALERTS) -> dict[str, Any]:
    """The content of a rule file; `runbooks` is the address below which <alert>.md is found.

    Growth is recorded once and read by every alert on it. Recording stands before the alerts in one
    group, so that an alert sees what was recorded in the same evaluation.
    """
    growths = Growths()
    alerting = [_alert(alert, growths, runbooks) for alert in alerts]
    quick = [g for g in growths.recorded if g.window <= HOUR]
    slow = [g for g in growths.recorded if g.window > HOUR]
    recording = [{"record": g.name, "expr": g.expression} for g in quick]
    return {
        "groups": [
            {
                "name": "accubooks-slow",
                "interval": duration(SLOW_INTERVAL_SECONDS),
                "rules": [{"record": g.name, "expr": g.expression} for g in slow],
            },
            {
                "name": "accubooks",
                "interval": duration(INTERVAL_SECONDS),
                "rules": recording + alerting,
            },
        ]
    }


def _alert(alert: Alert, growths: Growths, runbooks: str) -> dict[str, Any]:
    labels: dict[str, str] = {"severity": alert.severity}
    if alert.escalates:
        labels["escalation"] = "true"
    annotations = {
        "summary": alert.summary,
        # What is about no service, such as reachability, has no such label.
        "description": f"{alert.name}{{{{ with $labels.{SERVICE} }}}} of {{{{ . }}}}{{{{ end }}}}: "
        + "{{ $value | printf `%.4g` }}, "
        + " or ".join(str(condition) for condition in alert.conditions),
        "runbook_url": runbook(runbooks, alert.name),
    }
    if alert.respond is not None:
        annotations["respond_within"] = duration(alert.respond) if alert.respond else "at once"
    rule: dict[str, Any] = {"alert": alert.name, "expr": _expression(alert, growths)}
    if alert.hold:
        rule["for"] = duration(alert.hold)
    return rule | {"labels": labels, "annotations": annotations}


def _expression(alert: Alert, growths: Growths) -> str:
    conditions = [_condition(condition, growths) for condition in alert.conditions]
    if len(conditions) > 1:
        # Under a label of its own each is held for itself.
        conditions = [
            f'label_replace({text}, "condition", {quoted(str(condition))}, "", "")'
            for text, condition in zip(conditions, alert.conditions, strict=True)
        ]
    expression = " or ".join(conditions)
    if alert.guard is None:
        return expression
    guard = promql(alert.guard.growth, growths=growths)
    return f"({expression}) and on (job) ({guard} >= {alert.guard.least:g})"


def _condition(condition: Condition, growths: Growths) -> str:
    return (
        f"{promql(condition.query, growths=growths)} {condition.comparison} {condition.threshold:g}"
    )
