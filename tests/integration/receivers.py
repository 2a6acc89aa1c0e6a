"""Everybody whom alerts tell, on this machine, and an Alertmanager that tells them quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from otel_accubooks.contract.alert import Severity
from otel_accubooks.stack import receivers as stack
from otel_accubooks.stack.mailbox import Mail
from otel_accubooks.stack.pager_sink import Event
from otel_accubooks.stack.receivers import ESCALATION, ON_CALL
from otel_accubooks.stack.slack_sink import Attachment
from otel_accubooks.vendors.addresses import Phone
from otel_accubooks.vendors.alertmanager import PACES, Pace
from otel_accubooks.vendors.prometheus_rules import rules

__all__ = ["ESCALATION", "ON_CALL", "RUNBOOKS", "Receivers", "firing", "over"]

RUNBOOKS = "https://runbooks.example"
# Told within seconds, and once: but for the heartbeat, nothing is repeated while a test looks.
QUICK: Mapping[Severity, Pace] = {
    severity: Pace(1, 2, 1) if severity == "none" else Pace(1, 2, 3600) for severity in PACES
}
RULES = {
    rule["alert"]: rule
    for group in rules(RUNBOOKS)["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def firing(name: str, **labels: str) -> dict[str, Any]:
    """The alert as Prometheus would tell of it; `labels` on top of those of its rule."""
    rule = RULES[name]
    return {
        "labels": {"alertname": name, "job": "accubooks", **rule["labels"], **labels},
        "annotations": rule["annotations"] | {"description": f"{name}: 7 > 1"},
        "startsAt": _now(),
    }


def over(alert: Mapping[str, Any]) -> dict[str, Any]:
    """The same, now that it is over."""
    return {**alert, "endsAt": _now()}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


class Receivers(stack.Receivers):
    """Those of the stack, told quickly, and asked what they were told."""

    def __init__(self, folder: Path, phone: Phone = "pagerduty") -> None:
        super().__init__(folder, runbooks=RUNBOOKS, phone=phone, paces=QUICK)

    def tell(self, *alerts: Mapping[str, Any]) -> None:
        """Tells Alertmanager, as Prometheus does."""
        self.alertmanager.tell(alerts)

    def mails(self, alert: str, to: str = ON_CALL) -> list[Mail]:
        """The mails on this alert."""
        return [mail for mail in self.mailbox.mails(to) if alert in mail.subject]

    def messages(self, alert: str, webhook: str = "alerts") -> list[Attachment]:
        """What Slack shows of this alert in the channel of this webhook."""
        shown = [part for message in self.slack.by(webhook) for part in message.attachments]
        return [part for part in shown if f" {alert} " in part.title]

    def events(self, alert: str) -> list[Event]:
        """What PagerDuty was told of this alert."""
        told: Sequence[Event] = self.pager.taken()
        return [event for event in told if event.payload and event.payload.class_ == alert]
