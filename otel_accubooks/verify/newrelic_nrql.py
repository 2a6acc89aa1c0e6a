"""Questions in NRQL, and the points of a service in New Relic: their age, and how far apart they are.

https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/
"""

from __future__ import annotations

import time
from typing import Any

from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.contract.metrics import BY_NAME, SYSTEM_UPTIME_SECONDS
from otel_accubooks.contract.query import MINUTE
from otel_accubooks.servers.api import ApiError
from otel_accubooks.vendors.newrelic.nrql import SERVICE, SERVICE_INSTANCE, quoted

NRQL = """query asked($account: Int!, $query: Nrql!) {
  actor { account(id: $account) { nrql(query: $query, timeout: 30) { results } } } }"""
_UPTIME = f"metricName = {quoted(SYSTEM_UPTIME_SECONDS.name)}"


def ask(graph: NerdGraph, query: str) -> list[dict[str, Any]]:
    """The rows of the answer. Raises ApiError."""
    found = graph.ask(NRQL, query=query)["actor"]["account"]
    if found is None or found.get("nrql") is None:
        raise ApiError(
            f"New Relic: no data of account {graph.account}; is its number right, and may the key see it?"
        )
    return list(found["nrql"]["results"])


class Points:
    """What the account holds of `service`; of the only one there is, if that is empty."""

    def __init__(self, graph: NerdGraph, service: str) -> None:
        self._graph, self._service = graph, service
        self.newest = 0.0

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The rows of the answer. Raises ApiError."""
        return ask(self._graph, query)

    def refused(self, query: str) -> str:
        """Why a query is none; empty where it is answered."""
        try:
            self.ask(query)
        except ApiError as error:
            return str(error)
        return ""

    def found(self) -> str:
        """The service, once it is known that it sends. Raises ApiError where none does, or several."""
        rows = self.ask(
            f"SELECT latest(timestamp) AS newest FROM Metric WHERE {_UPTIME} FACET {SERVICE}"
            " SINCE 1 hour ago LIMIT MAX"
        )
        newest = {str(row["facet"]): row["newest"] / 1000 for row in rows if row.get("newest")}
        fitting = [name for name in newest if self._service in ("", name)]
        if len(fitting) != 1:
            told = ", ".join(sorted(newest)) or "none"
            asked = (
                f"one called {self._service}" if self._service else "one: say which by --service"
            )
            raise ApiError(
                f"account {self._graph.account} has points of the last hour of the services {told},"
                f" expected {asked}"
            )
        self._service, self.newest = fitting[0], newest[fitting[0]]
        return self._service

    def ages(self) -> dict[str, float]:
        """Seconds since the newest point by metric, of those that have one in the last hour."""
        rows = self.ask(
            f"SELECT latest(timestamp) AS newest FROM Metric WHERE {self._of_service()}"
            " FACET metricName SINCE 1 hour ago LIMIT MAX"
        )
        now = time.time()
        return {
            row["facet"]: now - row["newest"] / 1000
            for row in rows
            if row["facet"] in BY_NAME and row.get("newest")
        }

    def per_minute(self, minutes: int) -> dict[str, list[float]]:
        """How many points came in each of the last whole minutes, by instance."""
        # The newest minute may still be on its way.
        end = int(time.time() // MINUTE * MINUTE - MINUTE)
        start = int(end - minutes * MINUTE)
        rows = self.ask(
            f"SELECT count(*) AS points FROM Metric WHERE {_UPTIME} AND {self._of_service()}"
            f" FACET {SERVICE_INSTANCE} SINCE {start} UNTIL {end} LIMIT MAX TIMESERIES 1 minute"
        )
        counts: dict[str, list[float]] = {}
        for row in rows:
            known = counts.setdefault(str(row["facet"]), [0.0] * minutes)
            place = int((row["beginTimeSeconds"] - start) // MINUTE)
            if 0 <= place < minutes:
                known[place] = row["points"]
        # Who ended is no gap: only who sent in the newest minutes is judged.
        return {name: told for name, told in counts.items() if any(told[-2:])} or counts

    def old(self, days: int) -> float:
        """How many points there are of the day that began `days` + 1 days ago."""
        rows = self.ask(
            f"SELECT count(*) AS points FROM Metric WHERE {_UPTIME} AND {self._of_service()}"
            f" SINCE {days + 1} days ago UNTIL {days} days ago"
        )
        return float(sum(row.get("points") or 0 for row in rows))

    def _of_service(self) -> str:
        return f"{SERVICE} = {quoted(self._service)}"
