"""What an Alertmanager tells of itself, and what it is told, over its HTTP API, version 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from otel_accubooks.servers.api import Api


class Alertmanager:
    """The Alertmanager at `address`. Every method raises ApiError where it does not answer so."""

    def __init__(self, address: str) -> None:
        self._api = Api(address, {})
        self.address = self._api.address

    def status(self) -> dict[str, Any]:
        """cluster (status, name, peers), versionInfo, config.original and uptime."""
        found: dict[str, Any] = self._api.ask("GET", "/api/v2/status")
        return found

    def alerts(self, **labels: str) -> list[dict[str, Any]]:
        """The alerts that it knows with these labels, each with its `status` and `receivers`."""
        filters = urlencode([("filter", f'{name}="{value}"') for name, value in labels.items()])
        found: list[dict[str, Any]] = self._api.ask("GET", f"/api/v2/alerts?{filters}")
        return found

    def tell(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Tells it of alerts as Prometheus does: labels, annotations, startsAt and endsAt of each."""
        self._api.ask("POST", "/api/v2/alerts", list(alerts))

    def close(self) -> None:
        """Ends the connections."""
        self._api.close()
