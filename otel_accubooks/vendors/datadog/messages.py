"""What a notification says, and to whom it goes."""

from __future__ import annotations

from otel_accubooks.contract.alert import AGAIN, Alert, Channel, Condition, Severity
from otel_accubooks.contract.query import MINUTE
from otel_accubooks.vendors.addresses import Addresses, runbook
from otel_accubooks.vendors.promql import duration

MANAGED = "managed-by:otel-accubooks"
# Datadog's priorities begin with 1. Minutes until one that lasts is told again: it takes no fewer than 10.
PRIORITY: dict[Severity, int] = {"P0": 1, "P1": 2, "P2": 3, "P3": 4, "test": 5, "none": 5}
AGAIN_MINUTES: dict[Severity, int] = {
    severity: max(round(seconds / MINUTE), 10) for severity, seconds in AGAIN.items()
}
# Who is told that no points come any more, where nobody listens to the alert itself.
SILENCE: tuple[Channel, ...] = ("email", "slack")
_RECOVERY = "{{#is_recovery}}It is over.{{/is_recovery}}"


def tags(alert: Alert, *more: str) -> list[str]:
    """By them people filter, and `apply` finds what is its own."""
    return [MANAGED, f"alert:{alert.name}", f"severity:{alert.severity}", *more]


def handles(channels: tuple[Channel, ...], to: Addresses) -> list[str]:
    """Everybody whom these channels reach, each once."""
    known: dict[Channel, list[str]] = {
        "phone": [f"@{to.phone}-{to.phone_service}"],
        "email": [f"@{address}" for address in to.email],
        "slack": [_slack(to, to.slack_channel)],
        "info": [_slack(to, to.slack_info_channel)],
        "escalation": [f"@{address}" for address in to.escalation_email],
        "heartbeat": [f"@webhook-{to.phone_service}-heartbeat"] if to.heartbeat_url else [],
    }
    return list(dict.fromkeys(one for channel in channels for one in known[channel]))


def message(alert: Alert, to: Addresses, *, value: str, silence: bool = False) -> str:
    """The text of a notification; `value` is Datadog's variable for what was found, or empty.

    Recoveries go to the same people, so that a pager closes what it has opened. With `silence`
    it says what it means that no data come.
    """
    found = f" It is {{{{{value}}}}} now." if value else ""
    asked = " or ".join(str(condition) for condition in alert.conditions)
    lines = [
        f"{alert.summary}.",
        "{{#is_alert}}",
        f"Fires when {asked} ({alert.unit}).{found}{_respond(alert)}",
        "{{/is_alert}}",
        _RECOVERY,
    ]
    if silence:
        lines.append("{{#is_no_data}}Nothing is heard of it any more.{{/is_no_data}}")
    return _addressed(lines, alert, to)


def absence(alert: Alert, condition: Condition, to: Addresses) -> str:
    """The text for a condition that is met by what is there no more."""
    lines = [
        f"{alert.summary}.",
        "{{#is_no_data}}",
        f"Nothing is heard of it any more: {condition}, for {duration(alert.hold)}.{_respond(alert)}",
        "{{/is_no_data}}",
        _RECOVERY,
    ]
    return _addressed(lines, alert, to)


def heartbeat(alert: Alert, to: Addresses) -> str:
    """Of the alert that always fires: a switch outside hears it, people hear its silence."""
    lines = [f"{alert.summary}."]
    if beats := handles(alert.channels, to):
        lines += ["{{#is_alert}}", " ".join(beats), "{{/is_alert}}"]
    told = " ".join(handles(SILENCE, to))
    lines += [
        "{{#is_no_data}}",
        f"No service sends any points. {_runbook(alert, to)}",
        told,
        "{{/is_no_data}}",
    ]
    return "\n".join(lines)


def _addressed(lines: list[str], alert: Alert, to: Addresses) -> str:
    return "\n".join(
        [*lines, _runbook(alert, to), "", " ".join(handles(alert.channels, to))]
    ).rstrip()


def _runbook(alert: Alert, to: Addresses) -> str:
    return f"Runbook: {runbook(to.runbooks, alert.name)}"


def _respond(alert: Alert) -> str:
    if alert.respond is None:
        return ""
    if alert.respond < MINUTE:
        return " Somebody looks at once."
    return f" Somebody looks within {duration(alert.respond)}."


def _slack(to: Addresses, channel: str) -> str:
    return f"@slack-{to.slack_workspace}-{channel.removeprefix('#')}"
