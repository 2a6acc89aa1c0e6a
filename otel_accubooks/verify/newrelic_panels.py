"""The widgets of our dashboards in New Relic, each of their queries asked as the page asks it."""

from __future__ import annotations

from typing import Any

from otel_accubooks.apply.newrelic import documents
from otel_accubooks.apply.newrelic.entities import SEARCH
from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.servers.api import ApiError
from otel_accubooks.vendors.newrelic.dashboards import title
from otel_accubooks.vendors.newrelic.nrql import SERVICE
from otel_accubooks.vendors.newrelic.widgets import widgets
from otel_accubooks.verify.newrelic_nrql import ask

Json = dict[str, Any]

_TIMES = ("beginTimeSeconds", "endTimeSeconds", "timestamp", "inspectedCount")


class Panels:
    """The dashboards of an account."""

    def __init__(self, graph: NerdGraph) -> None:
        self._graph = graph

    def faults_of(self, board: Dashboard, service: str) -> dict[str, str]:
        """What is wrong with panels, by their titles: what shows data of `service` is not named.

        Raises ApiError.
        """
        there = self._widgets(board)
        faults = {}
        for panel in board.panels:
            # A panel is one widget, or several.
            for one in widgets(panel, board):
                fault = self._fault(there.get(one.title), service, empty=panel.kind == "alerts")
                if fault:
                    faults[panel.title] = fault
        return faults

    def _widgets(self, board: Dashboard) -> dict[str, Json]:
        path = "actor.entitySearch.results"
        for one in self._graph.every(documents.OURS, path, "entities", query=SEARCH):
            if (one["type"], one["name"], one["accountId"]) == (
                "DASHBOARD", title(board), self._graph.account,
            ):  # fmt: skip
                entity = self._graph.ask(documents.DASHBOARD, guid=one["guid"])["actor"]["entity"]
                return {
                    widget["title"]: widget["rawConfiguration"]
                    for page in (entity or {}).get("pages") or ()
                    for widget in page["widgets"]
                }
        return {}

    def _fault(self, configuration: Json | None, service: str, *, empty: bool) -> str:
        if configuration is None:
            return "the widget is not there"
        queries = [one["query"] for one in configuration.get("nrqlQueries") or ()]
        for query in queries:
            try:
                rows = ask(self._graph, query)
            except ApiError as error:
                return f"{error} ({query})"
            if not empty and not any(_tells(row, query, service) for row in rows):
                return f"nothing of {service} for {query}"
        return "" if queries else "the widget asks nothing"


def _tells(row: Json, query: str, service: str) -> bool:
    """Whether there is a number in a row, of this service where rows are of services."""
    facets = row.get("facet")
    facets = facets if isinstance(facets, list) else [facets]
    if f"FACET {SERVICE}" in query and service not in facets:
        return False
    return any(
        isinstance(number, (int, float))
        for name, value in row.items()
        if name not in _TIMES
        # Percentiles come as an object of numbers.
        for number in (value.values() if isinstance(value, dict) else [value])
    )
