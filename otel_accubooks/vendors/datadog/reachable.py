"""Whether the application answers, looked at from outside: a Synthetics HTTP test."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.query import MINUTE, Reachable
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.datadog import messages
from otel_accubooks.vendors.datadog.payloads import Check

# Three of Datadog's public locations; two have to agree, so that a broken path to one wakes nobody.
LOCATIONS = ("aws:eu-central-1", "aws:us-east-1", "aws:ap-northeast-1")
AGREEING = 2
TIMEOUT_SECONDS = 10
EVERY = MINUTE


def checks(to: Addresses) -> Iterator[tuple[str, Check]]:
    """The check of each alert that asks for reachability, by the alert's name."""
    for alert in ALERTS:
        if any(isinstance(condition.query, Reachable) for condition in alert.conditions):
            yield alert.name, _check(alert, to)


def _check(alert: Alert, to: Addresses) -> Check:
    name = f"{alert.name}: {alert.summary}"
    return {
        "name": name,
        "type": "api",
        "subtype": "http",
        "status": "live",
        "config": {
            "request": {
                "method": "GET",
                "url": to.health,
                "timeout": TIMEOUT_SECONDS,
            },
            "assertions": [{"type": "statusCode", "operator": "is", "target": 200}],
        },
        "locations": list(LOCATIONS),
        "message": messages.message(alert, to, value=""),
        "tags": messages.tags(alert, f"monitor:{alert.name}"),
        "options": {
            "tick_every": int(EVERY),
            "min_failure_duration": int(alert.hold),
            "min_location_failed": AGREEING,
            "follow_redirects": True,
            "monitor_name": name,
            "monitor_priority": messages.PRIORITY[alert.severity],
            "monitor_options": {"renotify_interval": messages.AGAIN_MINUTES[alert.severity]},
        },
    }
