"""Points of a service in Datadog: their age, and how far apart they are.

https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points
"""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlencode

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import METRICS, SYSTEM_UPTIME_SECONDS
from otel_accubooks.contract.query import DAY, HOUR, MINUTE
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.datadog.queries import HOST, SERVICE

_UPTIME = SYSTEM_UPTIME_SECONDS.name
# Interpolated points are none that came.
_PLAIN = ".fill(null)"
# A monitor's query: its aggregation and window before, its comparison and threshold after.
_EXPRESSION = re.compile(
    r"^\w+\((?:\w+\()?last_\w+\)?(?:,\w+_ago\))?:(?P<asked>.+) [<>]=? -?[\d.]+$"
)


class Points:
    """What the account holds of `service`; of the only one there is, if that is empty."""

    def __init__(self, api: Api, service: str) -> None:
        self._api, self._service = api, service.lower()

    @property
    def scope(self) -> str:
        """The service as a part of a query."""
        return f"{SERVICE}:{self._service}"

    def found(self) -> str:
        """The service, once it is known that it sends. Raises ApiError where none does, or several."""
        rows = self._asked(f"max:{_UPTIME}{{*}} by {{{SERVICE}}}{_PLAIN}", HOUR)
        services = sorted({_tags(row).get(SERVICE, "") for row in rows if _times(row)} - {""})
        fitting = [one for one in services if self._service in ("", one)]
        if len(fitting) != 1:
            told = ", ".join(services) or "none"
            asked = (
                f"one called {self._service}" if self._service else "one: say which by --service"
            )
            raise ApiError(
                f"{self._api.address} has points of the last hour of the services {told}, expected {asked}"
            )
        self._service = fitting[0]
        return self._service

    def age(self) -> float:
        """Seconds since the newest point of all."""
        return self._age(f"max:{_UPTIME}{{{self.scope}}}{_PLAIN}") or 0.0

    def ages(self) -> dict[str, float]:
        """Seconds since the newest point by metric, of those that have one in the last hour."""
        found = ((metric.name, self._age(f"{self._select(metric)}{_PLAIN}")) for metric in METRICS)
        return {name: age for name, age in found if age is not None}

    def per_minute(self, minutes: int) -> dict[str, list[float]]:
        """How many points came in each of the last whole minutes, by host."""
        query = f"max:{_UPTIME}{{{self.scope}}} by {{{HOST}}}.rollup(count, 60){_PLAIN}"
        # The newest minute is not over, and the one before it may still be on its way.
        end = time.time() // MINUTE * MINUTE - MINUTE
        moments = [end - MINUTE * (minutes - place) for place in range(minutes)]
        counts = {}
        for row in self._asked(query, (minutes + 1) * MINUTE, end):
            by_minute = {t // MINUTE * MINUTE: value for t, value in _times(row)}
            counts[row["scope"]] = [by_minute.get(moment, 0.0) for moment in moments]
        return counts

    def old(self, days: int) -> float:
        """How many buckets have points of the day that began `days` + 1 days ago."""
        end = time.time() - days * DAY
        rows = self._asked(f"max:{_UPTIME}{{{self.scope}}}{_PLAIN}", DAY, end)
        return float(sum(len(_times(row)) for row in rows))

    def refused(self, query: str) -> str:
        """Why a monitor's query is none; empty where it is answered."""
        found = _EXPRESSION.match(query)
        if found is None:
            return f"{query!r} is no query of a metric"
        try:
            self._asked(found["asked"], HOUR)
        except ApiError as error:
            return str(error)
        return ""

    def _select(self, metric: Metric) -> str:
        aggregator = {"counter": "sum", "histogram": "avg", "gauge": "max"}[metric.type]
        count = ".as_count()" if metric.type == "counter" else ""
        return f"{aggregator}:{metric.name}{{{self.scope}}}{count}"

    def _age(self, query: str) -> float | None:
        now = time.time()
        times = [t for row in self._asked(query, HOUR) for t, _ in _times(row)]
        return now - max(times) if times else None

    def _asked(self, query: str, span: float, end: float | None = None) -> list[Any]:
        end = end or time.time()
        asked = {"from": int(end - span), "to": int(end), "query": query}
        answer = self._api.ask("GET", f"/api/v1/query?{urlencode(asked)}")
        if answer.get("status") != "ok" or answer.get("error"):
            raise ApiError(f"{query}: {answer.get('error') or answer}")
        return list(answer.get("series") or ())


def _times(row: Any) -> list[tuple[float, float]]:
    """Unix seconds and value of each point that there is."""
    return [(t / 1000, value) for t, value in row["pointlist"] if value is not None]


def _tags(row: Any) -> dict[str, str]:
    return dict(part.split(":", 1) for part in row["scope"].split(",") if ":" in part)
