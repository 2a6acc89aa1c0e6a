"""Alertmanager: who is told of an alert, how soon, and what keeps silent meanwhile. From 0.25 on."""

from __future__ import annotations

from typing import Any

from otel_accubooks.contract.alert import Alert, Severity
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.query import Reachable
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.promql import SERVICE

# How long alerts of one name are gathered before they are told, and until one that lasts is told again.
_GATHERED: dict[Severity, str] = {"P0": "5s", "P1": "15s", "P2": "30s", "P3": "5m", "none": "0s"}
_AGAIN: dict[Severity, str] = {"P0": "30m", "P1": "2h", "P2": "12h", "P3": "24h", "none": "1m"}
_CHANGES = {"P0": "1m"}
_OTHER_CHANGES = "5m"


def configuration(to: Addresses) -> dict[str, Any]:
    """The content of alertmanager.yml."""
    return {
        "global": _mail(to),
        "route": {
            "receiver": "P2",
            "group_by": ["alertname", SERVICE],
            "routes": _routes(),
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


def _routes() -> list[dict[str, Any]]:
    escalation = {
        "matchers": ['escalation="true"'],
        "receiver": "escalation",
        "group_wait": _GATHERED["P0"],
        "continue": True,
    }
    return [escalation, *(_route(severity) for severity in _GATHERED)]


def _route(severity: Severity) -> dict[str, Any]:
    return {
        "matchers": [f'severity="{severity}"'],
        "receiver": "heartbeat" if severity == "none" else severity,
        "group_wait": _GATHERED[severity],
        "group_interval": _AGAIN["none"]
        if severity == "none"
        else _CHANGES.get(severity, _OTHER_CHANGES),
        "repeat_interval": _AGAIN[severity],
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
    slack = {"slack_configs": [_slack(to, to.slack_channel)]}
    email = {"email_configs": _emails(to.email)}
    heartbeat: dict[str, Any] = {"name": "heartbeat"}
    if to.heartbeat_url:
        heartbeat["webhook_configs"] = [{"url": to.heartbeat_url, "send_resolved": False}]
    return [
        {"name": "P0", **_phone(to), **email, **slack},
        {"name": "P1", **email, **slack},
        {"name": "P2", **slack},
        {"name": "P3", "slack_configs": [_slack(to, to.slack_info_channel)]},
        {"name": "escalation", "email_configs": _emails(to.escalation_email)},
        heartbeat,
    ]


def _slack(to: Addresses, channel: str) -> dict[str, Any]:
    return {
        "api_url_file": f"{to.secrets}/slack_url",
        "channel": channel,
        "send_resolved": True,
        "title": "{{ .Status | toUpper }} {{ .CommonLabels.severity }} {{ .CommonLabels.alertname }}",
        "title_link": "{{ .CommonAnnotations.runbook_url }}",
        "text": "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\n{{ end }}",
    }


def _emails(to: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"to": address, "send_resolved": True} for address in to]


def _phone(to: Addresses) -> dict[str, Any]:
    told = "{{ .CommonLabels.alertname }}: {{ .CommonAnnotations.summary }}"
    if to.phone == "pagerduty":
        # Events API v2: https://developer.pagerduty.com/docs/events-api-v2/overview/
        config = {
            "routing_key_file": f"{to.secrets}/pagerduty_key",
            "severity": "critical",
            "description": told,
            "details": {"runbook": "{{ .CommonAnnotations.runbook_url }}"},
        }
        return {"pagerduty_configs": [config | ({"url": to.phone_url} if to.phone_url else {})]}
    if to.phone == "opsgenie":
        config = {
            "api_key_file": f"{to.secrets}/opsgenie_key",
            "priority": "P1",
            "message": told,
        }
        return {"opsgenie_configs": [config | ({"api_url": to.phone_url} if to.phone_url else {})]}
    token = {"authorization": {"credentials_file": f"{to.secrets}/webhook_token"}}
    return {"webhook_configs": [{"url": to.phone_url, "http_config": token}]}
