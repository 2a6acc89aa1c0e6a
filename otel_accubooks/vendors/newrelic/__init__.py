"""New Relic: conditions, notifications, dashboards and a check, as the inputs of its NerdGraph API."""

from __future__ import annotations

import json
from typing import Any

from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.newrelic import checks, conditions, dashboards, notifications


def files(to: Addresses) -> dict[str, str]:
    """Path below the output folder, and content.

    What only an account knows stands open: ids of policies, destinations and channels are named by what
    they belong to, and the account of a dashboard's queries is 0.
    """
    rendered: dict[str, Any] = {"policies.json": conditions.policies()}
    for alert in ALERTS:
        rendered[f"conditions/{alert.name}.json"] = conditions.conditions(alert, to)
    for dashboard in DASHBOARDS:
        rendered[f"dashboards/{dashboard.name}.json"] = dashboards.dashboard(dashboard)
    rendered["checks/reachable.json"] = checks.monitor(to)
    rendered["notifications.json"] = notifications.notifications(to)
    return {
        path: json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for path, content in rendered.items()
    }
