"""Every alert as Markdown: what it says, what Prometheus is asked, and who is told, how soon."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.contract.alert import CHANNELS, Alert, Severity
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.vendors.addresses import runbook_file
from otel_accubooks.vendors.alertmanager import PACES
from otel_accubooks.vendors.promql import duration
from otel_accubooks.vendors.runbook_pages import facts, queries

_ABOUT = """\
Each severity is told on its channels, at the pace of the first table; [alerting.md](alerting.md) says who
is behind a channel. Each alert has what Prometheus is asked (its rules compare that with the threshold),
and its runbook."""


def page() -> str:
    """The whole page."""
    lines = ["# Alerts", "", _ABOUT, "", *_paces(), ""]
    for severity in PACES:
        lines += [f"## {_title(severity)}", ""]
        for alert in ALERTS:
            if alert.severity == severity:
                lines += [*_alert(alert), ""]
    return "\n".join(lines).rstrip() + "\n"


def _title(severity: Severity) -> str:
    return {"test": "On demand", "none": "Always"}.get(severity, severity)


def _paces() -> Iterator[str]:
    yield "| severity | alerts | told by | first told after | changes and end after | told again every |"
    yield "|---|---|---|---|---|---|"
    for severity, pace in PACES.items():
        names = ", ".join(alert.name for alert in ALERTS if alert.severity == severity)
        told = ", ".join(CHANNELS[severity])
        times = " | ".join(map(duration, (pace.gathered, pace.changes, pace.again)))
        yield f"| {severity} | {names} | {told} | {times} |"


def _alert(alert: Alert) -> Iterator[str]:
    yield from (f"### {alert.name}", "", f"{alert.summary}.", "")
    yield from facts(alert)
    yield f"- [runbook](runbooks/{runbook_file(alert.name)})"
    yield ""
    yield from queries(alert)
