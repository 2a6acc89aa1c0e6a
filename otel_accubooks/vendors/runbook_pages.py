"""The runbooks as Markdown, with the thresholds that stand with the alerts."""

from __future__ import annotations

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.runbooks import RUNBOOKS
from otel_accubooks.vendors.addresses import runbook_file
from otel_accubooks.vendors.promql import duration, promql


def page(alert: Alert) -> str:
    """The page of one alert."""
    runbook = RUNBOOKS[alert.name]
    lines = [
        f"# {alert.name}",
        "",
        f"{alert.summary}.",
        "",
        *facts(alert),
        "",
        "## What it means",
        "",
        runbook.means,
        "",
        "## How to check",
        "",
        *(f"{number}. {step}" for number, step in enumerate(runbook.checks, 1)),
        "",
        "## How to mitigate",
        "",
        *(f"{number}. {step}" for number, step in enumerate(runbook.mitigations, 1)),
        "",
        "## Whom to call",
        "",
        runbook.calls,
        "",
        "## What the alert asks",
        "",
        *queries(alert),
    ]
    return "\n".join(lines) + "\n"


def queries(alert: Alert) -> list[str]:
    """What Prometheus is asked for it, as a block for each of its conditions."""
    asked = (promql(condition.query) for condition in alert.conditions)
    return "\n\n".join(f"```promql\n{query}\n```" for query in asked).splitlines()


def facts(alert: Alert) -> list[str]:
    """Who is told, when it fires and when not, how soon somebody looks: a list in Markdown."""
    facts = [f"- severity {alert.severity}, told by {', '.join(alert.channels)}"]
    for condition in alert.conditions:
        facts.append(f"- fires when `{condition}` ({alert.unit}){_held(alert)}")
    if alert.guard is not None:
        facts.append(f"- silent while `{alert.guard.growth}` is below {alert.guard.least:g}")
    if alert.respond is not None:
        within = f"within {duration(alert.respond)}" if alert.respond else "at once"
        facts.append(f"- somebody looks {within}")
    if alert.mutes:
        facts.append(f"- while it fires, these are silent: {', '.join(alert.mutes)}")
    return facts


def _held(alert: Alert) -> str:
    return f" for {duration(alert.hold)}" if alert.hold else ", at once"


def pages() -> dict[str, str]:
    """Every page, by file name."""
    return {runbook_file(alert.name): page(alert) for alert in ALERTS}
