"""The way through Datadog.

Source: https://docs.datadoghq.com/api/latest/ (metrics: query timeseries; monitors: get all).
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from otel_accubooks.contract.alerts import BY_NAME
from otel_accubooks.contract.pipeline import TEST, TEST_ALERT
from otel_accubooks.trial.station import AHEAD_SECONDS
from otel_accubooks.trial.vendor import VendorWay

ALERT = BY_NAME["TestAlert"]
_FIRES = ("Alert", "Warn")


class DatadogWay(VendorWay):
    """Points by a query, the alert by the state of its monitor's group."""

    name = "Datadog"

    def stored(self) -> str | None:
        now = int(time.time())
        query = f"max:{TEST_ALERT.name}{{{TEST}:{self._trial.number}}}"
        asked = {"from": int(self._trial.began - AHEAD_SECONDS), "to": now, "query": query}
        found = self._api.ask("GET", f"/api/v1/query?{urlencode(asked)}")
        values = [
            point[1] for one in found.get("series", ()) for point in one["pointlist"] if point[1]
        ]
        return f"{query} has {len(values)} points" if values else None

    def fires(self) -> str | None:
        state = self._state()
        return f"monitor {ALERT.name} is in state {state}" if state in _FIRES else None

    def over(self) -> str | None:
        state = self._state()
        return (
            None if state in _FIRES else f"monitor {ALERT.name} is in state {state or 'no group'}"
        )

    def does_not_fire(self) -> str:
        monitors = self._monitors()
        if not monitors:
            return f"there is no monitor {ALERT.name}: otel-accubooks apply datadog"
        if monitors[0].get("options", {}).get("silenced"):
            return f"the monitor {ALERT.name} is muted, and nobody is told"
        return f"the monitor {ALERT.name} asks something else: {monitors[0].get('query')}"

    def _monitors(self) -> list[Any]:
        # Datadog keeps tags in lower case.
        asked = {"monitor_tags": f"monitor:{ALERT.name.lower()}", "group_states": "all"}
        found: list[Any] = self._api.ask("GET", f"/api/v1/monitor?{urlencode(asked)}")
        return found

    def _state(self) -> str | None:
        """Of the group of this test."""
        for monitor in self._monitors():
            for name, group in ((monitor.get("state") or {}).get("groups") or {}).items():
                if f"{TEST}:{self._trial.number}" in name.split(","):
                    return str(group.get("status"))
        return None
