"""What Prometheus tells of itself and of its data, over its HTTP API.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from otel_accubooks.servers.api import Api, ApiError


@dataclass(frozen=True)
class Sample:
    """One series of an answer: its labels, and (time in Unix seconds, value) in order."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The last value."""
        return self.points[-1][1]


class Prometheus:
    """The Prometheus at `address`. Every method raises ApiError where it does not answer so."""

    def __init__(self, address: str) -> None:
        self._api = Api(address, {})
        self.address = self._api.address

    def query(self, promql: str, time: float | None = None) -> list[Sample]:
        """The instant vector of a query, now or at `time` (Unix seconds)."""
        asked = {"query": promql} | ({} if time is None else {"time": f"{time:.3f}"})
        return samples(self._data("query", asked))

    def query_range(self, promql: str, start: float, end: float, step: float) -> list[Sample]:
        """The values of a query from `start` to `end`, one every `step` seconds."""
        asked = {"query": promql, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": str(step)}
        return samples(self._data("query_range", asked))

    def targets(self) -> list[dict[str, Any]]:
        """The active targets: labels, scrapeInterval, health, lastError, lastScrape of each."""
        found: list[dict[str, Any]] = self._data("targets", {"state": "active"})["activeTargets"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """The groups of rules, each with name, interval and rules, as they are evaluated."""
        found: list[dict[str, Any]] = self._data("rules", {})["groups"]
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are pending or fire: labels, annotations, state, activeAt, value."""
        found: list[dict[str, Any]] = self._data("alerts", {})["alerts"]
        return found

    def alertmanagers(self) -> list[str]:
        """The addresses of the Alertmanagers that it tells."""
        return [one["url"] for one in self._data("alertmanagers", {})["activeAlertmanagers"]]

    def runtime(self) -> dict[str, Any]:
        """What runs: storageRetention, startTime, lastConfigTime and more."""
        found: dict[str, Any] = self._data("status/runtimeinfo", {})
        return found

    def flags(self) -> dict[str, str]:
        """The flags that it was started with."""
        found: dict[str, str] = self._data("status/flags", {})
        return found

    def config(self) -> dict[str, Any]:
        """The configuration that is loaded, without its secrets."""
        import yaml

        found: dict[str, Any] = yaml.safe_load(self._data("status/config", {})["yaml"])
        return found

    def close(self) -> None:
        """Ends the connections."""
        self._api.close()

    def _data(self, path: str, asked: dict[str, str]) -> Any:
        answer = self._api.ask("GET", f"/api/v1/{path}?{urlencode(asked)}")
        try:
            return answer["data"]
        except (KeyError, TypeError):
            raise ApiError(
                f"{self.address} answers not as Prometheus does: is the address right?"
            ) from None


def samples(data: Any) -> list[Sample]:
    """The series of an answer's `data`, of a query at a moment or over a time. Raises ApiError."""
    try:
        return [
            Sample(
                row["metric"],
                tuple((float(t), float(v)) for t, v in row.get("values") or [row["value"]]),
            )
            for row in data["result"]
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        raise ApiError("answers not as Prometheus does: is the address right?") from None
