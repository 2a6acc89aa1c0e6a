"""Our monitors in Datadog: how they stand, and whether anybody hears them.

https://docs.datadoghq.com/api/latest/monitors/#get-all-monitors
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from otel_accubooks.contract.alert import Severity
from otel_accubooks.contract.alerts import BY_NAME
from otel_accubooks.servers.api import Api
from otel_accubooks.vendors.datadog.messages import MANAGED

_FIRES = ("Alert", "Warn", "No Data")
_PAGE = 1000
# Datadog keeps tags in lower case.
_ALERTS = {name.lower(): name for name in BY_NAME}


class Monitors:
    """Those with our tag, as they are now. Raises ApiError."""

    def __init__(self, api: Api) -> None:
        self._monitors: list[Any] = []
        asked: dict[str, str | int] = {
            "monitor_tags": MANAGED, "group_states": "all", "with_downtimes": "true",
            "page_size": _PAGE,
        }  # fmt: skip
        found = None
        while found is None or len(found) == _PAGE:
            page = len(self._monitors) // _PAGE
            found = api.ask("GET", f"/api/v1/monitor?{urlencode({**asked, 'page': page})}")
            self._monitors += found

    def silent(self) -> Iterator[tuple[str, str]]:
        """The name of an alert, and why its monitor tells nobody."""
        for one in self._monitors:
            name = _alert(one)
            if (one.get("options") or {}).get("silenced"):
                yield name, f"{one['name']} is muted: unmute it in Datadog"
            if one.get("draft_status") == "draft":
                yield name, f"{one['name']} is a draft, which tells nobody: publish it in Datadog"
            if one.get("matching_downtimes"):
                yield name, f"{one['name']} is in a downtime: end it in Datadog"
            if one.get("overall_state") == "No Data" and _misses_data(one):
                yield name, f"{one['name']} is in state No Data: expected data; does it still come?"

    def downtimes(self) -> list[str]:
        """A line for each downtime that covers any of them."""
        found = {
            one[
                "id"
            ]: f"downtime {one['id']} ({one.get('scope')}) keeps monitors silent: end it in Datadog"
            for monitor in self._monitors
            for one in monitor.get("matching_downtimes") or ()
        }
        return list(found.values())

    def firing(self, severity: Severity) -> Iterator[tuple[str, str]]:
        """Name and state of each monitor in alarm that speaks for an alert of that severity."""
        for one in self._monitors:
            alert = BY_NAME.get(_alert(one))
            part = any(tag.startswith("part:") for tag in one.get("tags") or ())
            state = one.get("overall_state")
            alarmed = state in _FIRES and (state != "No Data" or _misses_data(one))
            if alert is not None and alert.severity == severity and alarmed and not part:
                yield one["name"], state

    def state(self, alert: str) -> str:
        """That of the monitor of an alert; empty where there is none."""
        return next((str(m.get("overall_state")) for m in self._monitors if _alert(m) == alert), "")

    def queries(self) -> Iterator[tuple[str, str]]:
        """Name and query of each that asks metrics."""
        for one in self._monitors:
            if one["type"] == "query alert":
                yield one["name"], one["query"]


def _alert(monitor: Any) -> str:
    tags = [tag.lower() for tag in monitor.get("tags") or ()]
    named = [tag.removeprefix("alert:") for tag in tags if tag.startswith("alert:")]
    return _ALERTS.get(named[0], "") if named else ""


def _misses_data(monitor: Any) -> bool:
    """Whether it is there to tell that no data come."""
    options = monitor.get("options") or {}
    missing = options.get("on_missing_data") == "show_and_notify_no_data"
    return bool(missing or options.get("notify_no_data"))
