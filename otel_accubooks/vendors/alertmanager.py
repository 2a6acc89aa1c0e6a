"""Alertmanager: who is told of an alert, how soon, and what keeps silent meanwhile. From 0.25 on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otel_accubooks.contract.alert import AGAIN, Alert, Severity
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.pipeline import TEST
from otel_accubooks.contract.query import MINUTE, Reachable
from otel_accubooks.vendors import alertmanager_texts as texts
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.promql import SERVICE, duration


@dataclass(frozen=True)
class Pace:
    """Seconds. Alerts of one name and service are `gathered` for so long before they are told.

    What changes among them, their end too, is told after `changes`; what lasts, anew after `again`.
    """

    gathered: float
    changes: float
    again: float


# Prometheus says what changes at whole quarters of a minute after it first spoke of an alert. A group is
# looked at in between: two Alertmanagers that did so just then might see the one still the old and the
# other the new, and tell both (docs/redundancy.md).
# Of whatever severity, what one alert says of one service comes with one evaluation: to gather it for
# longer than GATHERED seconds would make it late, and hardly less.
GATHERED = 5.0
PACES: Mapping[Severity, Pace] = {
    "P0": Pace(GATHERED, MINUTE, AGAIN["P0"]),
    "P1": Pace(GATHERED, 5 * MINUTE, AGAIN["P1"]),
    "P2": Pace(GATHERED, 5 * MINUTE, AGAIN["P2"]),
    "P3": Pace(GATHERED, 5 * MINUTE, AGAIN["P3"]),
    # Ten seconds are the least in which Alertmanager gives a channel up.
    "test": Pace(1, 10, AGAIN["test"]),
    # Whether it is time is asked when `changes` is over, so `again` ends just before.
    "none": Pace(1, 20, AGAIN["none"] - 10),
}
_GROUPED = ("alertname", SERVICE)
# Those who tell real alerts: between them they have every channel.
TRIED = ("P0", "P3", "escalation")


def configuration(to: Addresses, paces: Mapping[Severity, Pace] = PACES) -> dict[str, Any]:
    """The content of alertmanager.yml."""
    return {
        "global": _mail(to),
        "route": {
            # An alert of somebody else, without a severity of ours, is for people to look at.
            "receiver": "P2",
            "group_by": list(_GROUPED),
            **_pace(paces["P2"]),
            "routes": _routes(paces),
        },
        "inhibit_rules": [_inhibition(alert) for alert in ALERTS if alert.mutes],
        "receivers": _receivers(to),
    }


def _mail(to: Addresses) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "smtp_smarthost": to.smtp,
        "smtp_from": to.email_from,
        "smtp_require_tls": to.smtp_tls,
    }
    if to.smtp_user:
        settings["smtp_auth_username"] = to.smtp_user
        settings["smtp_auth_password_file"] = f"{to.secrets}/smtp_password"
    return settings


def _routes(paces: Mapping[Severity, Pace]) -> list[dict[str, Any]]:
    escalation = {
        "matchers": ['escalation="true"'],
        "receiver": "escalation",
        **_pace(paces["P0"]),
        "continue": True,
    }
    by_severity = [
        {
            "matchers": [f'severity="{severity}"'],
            "receiver": "heartbeat" if severity == "none" else severity,
            **_pace(pace),
        }
        for severity, pace in paces.items()
        if severity != "test"
    ]
    tried = [
        {
            "matchers": ['severity="test"'],
            "receiver": receiver,
            # Two tests at once are two notifications, and two incidents.
            "group_by": [*_GROUPED, TEST],
            **_pace(paces["test"]),
            "continue": receiver != TRIED[-1],
        }
        for receiver in TRIED
    ]
    return [escalation, *tried, *by_severity]


def _pace(pace: Pace) -> dict[str, str]:
    return {
        "group_wait": duration(pace.gathered),
        "group_interval": duration(pace.changes),
        "repeat_interval": duration(pace.again),
    }


def _inhibition(alert: Alert) -> dict[str, Any]:
    query = alert.conditions[0].query
    # Who cannot be reached has no labels to tell services apart by.
    same = [] if isinstance(query, Reachable) else [SERVICE, *getattr(query, "by", ())]
    return {
        "source_matchers": [f'alertname="{alert.name}"'],
        "target_matchers": [f'alertname=~"{"|".join(alert.mutes)}"'],
        "equal": same,
    }


def _receivers(to: Addresses) -> list[dict[str, Any]]:
    slack = {"slack_configs": [_slack(to, to.slack_channel, "slack_url")]}
    email = {"email_configs": _emails(to, to.email)}
    heartbeat: dict[str, Any] = {"name": "heartbeat"}
    if to.heartbeat_url:
        heartbeat["webhook_configs"] = [{"url": to.heartbeat_url, "send_resolved": False}]
    return [
        {"name": "P0", **_phone(to), **email, **slack},
        {"name": "P1", **email, **slack},
        {"name": "P2", **slack},
        {
            "name": "P3",
            "slack_configs": [_slack(to, to.slack_info_channel, "slack_info_url")],
        },
        {"name": "escalation", "email_configs": _emails(to, to.escalation_email)},
        heartbeat,
    ]


def _slack(to: Addresses, channel: str, secret: str) -> dict[str, Any]:
    return {
        # A webhook of a Slack app writes to the one channel that it was made for, whatever it is told;
        # older ones, and what speaks Slack's language elsewhere, heed `channel`.
        "api_url_file": f"{to.secrets}/{secret}",
        "channel": channel,
        "send_resolved": True,
        "color": texts.SLACK_COLOUR,
        "fallback": texts.TITLE,
        "title": texts.TITLE,
        "title_link": "{{ .CommonAnnotations.runbook_url }}",
        "text": texts.slack(to.application),
    }


def _emails(to: Addresses, people: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "to": address,
            "send_resolved": True,
            "headers": {"Subject": texts.TITLE},
            "text": texts.plain(to.application),
            "html": texts.mail(to.application),
        }
        for address in people
    ]


def _phone(to: Addresses) -> dict[str, Any]:
    config: dict[str, Any] = {"send_resolved": True}
    if to.phone == "webhook":
        token = {"authorization": {"credentials_file": f"{to.secrets}/webhook_token"}}
        return {"webhook_configs": [config | {"url": to.phone_url, "http_config": token}]}
    if to.phone == "opsgenie":
        # Alert API: https://docs.opsgenie.com/docs/alert-api
        config |= {
            "api_key_file": f"{to.secrets}/opsgenie_key",
            "message": texts.HEADLINE,
            "description": texts.plain(to.application),
            "priority": "P1",
            "source": to.application,
            "entity": f"{{{{ .CommonLabels.{SERVICE} }}}}",
            "details": {"runbook": "{{ .CommonAnnotations.runbook_url }}"},
        }
        return {"opsgenie_configs": [config | ({"api_url": to.phone_url} if to.phone_url else {})]}
    # Events API v2: https://developer.pagerduty.com/docs/events-api-v2/overview/
    config |= {
        "routing_key_file": f"{to.secrets}/pagerduty_key",
        "severity": "critical",
        "description": texts.HEADLINE,
        "source": to.application,
        "class": "{{ .CommonLabels.alertname }}",
        "component": f"{{{{ .CommonLabels.{SERVICE} }}}}",
        "client": to.phone_service,
        "client_url": to.application,
        "links": [{"href": "{{ .CommonAnnotations.runbook_url }}", "text": "Runbook"}],
        "details": {"runbook": "{{ .CommonAnnotations.runbook_url }}"},
    }
    return {"pagerduty_configs": [config | ({"url": to.phone_url} if to.phone_url else {})]}
