"""What Alertmanager counts of its notifications: that it handed one over, not that it arrived."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import httpx

from otel_accubooks.servers.api import DIRECT, ApiError

_TRIED = "alertmanager_notifications_total"
_FAILED = (
    "alertmanager_notifications_failed_total",
    "alertmanager_notification_requests_failed_total",
)
_LINE = re.compile(r'^(alertmanager_\w+)\{[^}]*\bintegration="(\w+)"[^}]*\} (\S+)', re.MULTILINE)


class Handed:
    """Notifications of these Alertmanagers since this was made, by integration; of those that answer."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._before = {address: found for address in addresses if (found := _counted(address))}

    def tried(self, integration: str) -> int:
        """How often somebody was to be told. Raises ApiError where none of them answers."""
        return self._grown(_TRIED, integration)

    def failed(self, integration: str) -> int:
        """How often that failed, what is tried again included. Raises ApiError as well."""
        return max(self._grown(name, integration) for name in _FAILED)

    def _grown(self, name: str, integration: str) -> int:
        key = name, integration
        now = {address: found for address in self._before if (found := _counted(address))}
        if not now:
            raise ApiError("no Alertmanager says whom it told; do they answer at /metrics?")
        # One that was started anew counts from 0.
        return sum(max(found[key] - self._before[one][key], 0) for one, found in now.items())


def _counted(address: str) -> Counter[tuple[str, str]] | None:
    """Its counts by name and integration; None where it does not answer."""
    try:
        with httpx.Client(timeout=30, mounts=DIRECT) as client:
            answer = client.get(f"{address}/metrics").raise_for_status()
    except httpx.HTTPError:
        return None
    found: Counter[tuple[str, str]] = Counter()
    for name, integration, value in _LINE.findall(answer.text):
        found[name, integration] += int(float(value))
    return found
