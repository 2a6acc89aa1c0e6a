"""By what our objects are known in an account, whoever else keeps things there."""

from __future__ import annotations

from otel_accubooks.contract.alert import Severity
from otel_accubooks.contract.alerts import ALERTS

# Policies, destinations, channels, workflows and monitors are found by the name that begins like this.
PREFIX = "otel-accubooks "
# Conditions have it in their description, dashboards and monitors as a tag.
TAG = ("managed-by", "otel-accubooks")
MARK = ":".join(TAG)

SEVERITIES: tuple[Severity, ...] = tuple(dict.fromkeys(alert.severity for alert in ALERTS))


def policy(severity: Severity) -> str:
    """The name of the policy that holds the conditions of this severity."""
    return f"{PREFIX}{'heartbeat' if severity == 'none' else severity}"
