"""What people have set up in an account of Datadog: integrations, teams, shares and rights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tests.apply.datadog_points import Refused


@dataclass
class Settings:
    """Slack's channels by workspace, services of the pager, webhooks, teams with how many are in them.

    `shared` are the public addresses of dashboards by their ids, `bindings` who alone may see one.
    """

    slack: dict[str, list[str]] = field(default_factory=dict)
    pagerduty: list[str] = field(default_factory=list)
    webhooks: dict[str, str] = field(default_factory=dict)
    teams: dict[str, int] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    bindings: dict[str, list[str]] = field(default_factory=dict)

    def integration(self, path: str) -> Any:
        if found := re.fullmatch(r"slack/configuration/accounts/([^/]+)/channels", path):
            if found[1] not in self.slack:
                raise Refused(404, "Slack account not found")
            display = {"message": True, "notified": True, "snapshot": True, "tags": True}
            return [{"name": name, "display": display} for name in self.slack[found[1]]]
        if found := re.fullmatch(r"pagerduty/configuration/services/([^/]+)", path):
            if found[1] not in self.pagerduty:
                raise Refused(404, "Service not found")
            return {"service_name": found[1]}
        if found := re.fullmatch(r"webhooks/configuration/webhooks/([^/]+)", path):
            if found[1] not in self.webhooks:
                raise Refused(404, "Webhook not found")
            return {"name": found[1], "url": self.webhooks[found[1]], "encode_as": "json"}
        raise Refused(404, f"no such path: {path}")

    def opsgenie(self) -> Any:
        return {"data": []}

    def shares(self, dashboard: str) -> Any:
        if dashboard not in self.shared:
            return {"data": []}
        attributes = {"share_type": "open", "status": "active", "url": self.shared[dashboard]}
        return {"data": [{"id": "1", "type": "shared_dashboard", "attributes": attributes}]}

    def policy(self, dashboard: str) -> Any:
        principals = self.bindings.get(dashboard, [])
        bindings = [{"relation": "viewer", "principals": principals}] if principals else []
        return {"data": {"id": f"dashboard:{dashboard}", "type": "restriction_policy",
                         "attributes": {"bindings": bindings}}}  # fmt: skip

    def team_list(self) -> Any:
        return {
            "data": [
                {
                    "id": f"id-{name}",
                    "type": "team",
                    "attributes": {"handle": name, "name": name.title(), "user_count": members},
                }
                for name, members in self.teams.items()
            ]
        }
