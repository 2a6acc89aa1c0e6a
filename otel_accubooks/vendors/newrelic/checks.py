"""New Relic: the check from outside that tells whether the application answers."""

from __future__ import annotations

from typing import Any

from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.newrelic.marks import TAG
from otel_accubooks.vendors.newrelic.nrql import MONITOR

# One place that loses its way to the application says nothing about the application.
LOCATIONS = ("US_EAST_1", "EU_WEST_1", "AP_SOUTHEAST_1")


def monitor(to: Addresses) -> dict[str, Any]:
    """The SyntheticsCreateSimpleMonitorInput. Only a status below 400 is a success."""
    return {
        "name": MONITOR,
        "uri": to.health,
        "period": "EVERY_MINUTE",
        "status": "ENABLED",
        "locations": {"public": list(LOCATIONS), "private": []},
        "tags": [{"key": TAG[0], "values": [TAG[1]]}],
        "advancedOptions": {
            "redirectIsFailure": False,
            # Many front ends answer HEAD by themselves.
            "shouldBypassHeadRequest": True,
            "useTlsValidation": True,
        },
    }
