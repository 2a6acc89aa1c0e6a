"""Dashboards and the check from outside: entities of an account, found by their tag."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from otel_accubooks.apply.change import Change, difference
from otel_accubooks.apply.newrelic import documents
from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.apply.newrelic.settling import settled
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.newrelic.checks import monitor
from otel_accubooks.vendors.newrelic.dashboards import dashboard
from otel_accubooks.vendors.newrelic.marks import TAG

# Not all of a monitor can be asked for: of what it was made is in a tag of its own.
DEFINITION = "otel-accubooks-definition"
_MINUTES = {"EVERY_MINUTE": 1}
SEARCH = f"type IN ('DASHBOARD', 'MONITOR') AND tags.`{TAG[0]}` = '{TAG[1]}'"


class Entities:
    """What is there, asked for once, and what should be."""

    def __init__(self, graph: NerdGraph, to: Addresses) -> None:
        self._graph = graph
        self._monitor = monitor(to)
        self._dashboards = [self._in_account(dashboard(one)) for one in DASHBOARDS]
        self._there: dict[tuple[str, str], dict[str, Any]] = {}
        self._surplus: list[dict[str, Any]] = []
        path = "actor.entitySearch.results"
        for one in graph.every(documents.OURS, path, "entities", query=SEARCH):
            # The pages of a dashboard are entities too.
            if one["accountId"] == graph.account and not one.get("dashboardParentGuid"):
                known = self._there.setdefault((one["type"], one["name"]), one)
                if known is not one:
                    self._surplus.append(one)

    def wanted(self) -> Iterator[Change]:
        """A change for the check and for each dashboard of the contract."""
        yield self._check()
        for wanted in self._dashboards:
            yield self._dashboard(wanted)

    def leftovers(self) -> Iterator[Change]:
        """A deletion for each tagged dashboard and monitor that the contract has no more."""
        wanted = {("MONITOR", self._monitor["name"])} | {
            ("DASHBOARD", one["name"]) for one in self._dashboards
        }
        gone = [one for key, one in self._there.items() if key not in wanted]
        for one in (*gone, *self._surplus):
            kind = "dashboard" if one["type"] == "DASHBOARD" else "check"
            document = (
                documents.DELETE_DASHBOARD if kind == "dashboard" else documents.DELETE_MONITOR
            )
            yield Change(
                "delete", kind, one["name"], difference(one, None),
                partial(self._graph.change, document, id=one["guid"]),
            )  # fmt: skip

    def _check(self) -> Change:
        definition = hashlib.sha256(json.dumps(self._monitor, sort_keys=True).encode()).hexdigest()
        wanted = {
            **self._monitor,
            "tags": [*self._monitor["tags"], {"key": DEFINITION, "values": [definition[:16]]}],
        }
        there = self._there.get(("MONITOR", wanted["name"]))
        shown = {
            "monitoredUrl": wanted["uri"],
            "period": _MINUTES[wanted["period"]],
            DEFINITION: definition[:16],
        }
        guid = there["guid"] if there else ""
        return settled(
            "check", wanted["name"], there and (there | _tags(there)), shown,
            create=partial(self._graph.change, documents.CREATE_MONITOR, input=wanted),
            update=partial(self._graph.change, documents.UPDATE_MONITOR, id=guid, input=wanted),
        )  # fmt: skip

    def _dashboard(self, wanted: dict[str, Any]) -> Change:
        there = self._there.get(("DASHBOARD", wanted["name"]))
        actual = None
        if there is not None:
            asked = self._graph.ask(documents.DASHBOARD, guid=there["guid"])
            actual = asked["actor"]["entity"]
        return settled(
            "dashboard", wanted["name"], actual, wanted,
            create=partial(self._create_dashboard, wanted),
            update=lambda: self._update_dashboard(there, actual, wanted),
        )  # fmt: skip

    def _create_dashboard(self, wanted: dict[str, Any]) -> None:
        made = self._graph.change(documents.CREATE_DASHBOARD, input=wanted)
        tags = [{"key": TAG[0], "values": [TAG[1]]}]
        self._graph.change(documents.TAG, guid=made["entityResult"]["guid"], tags=tags)

    def _update_dashboard(self, there: Any, actual: Any, wanted: dict[str, Any]) -> None:
        # A page that keeps its id keeps its address.
        guids = {page["name"]: page["guid"] for page in actual["pages"]}
        pages = [
            page | ({"guid": guids[page["name"]]} if page["name"] in guids else {})
            for page in wanted["pages"]
        ]
        entered = wanted | {"pages": pages}
        self._graph.change(documents.UPDATE_DASHBOARD, id=there["guid"], input=entered)

    def _in_account(self, compiled: dict[str, Any]) -> dict[str, Any]:
        for page in compiled["pages"]:
            for widget in page["widgets"]:
                for query in widget["rawConfiguration"].get("nrqlQueries", ()):
                    query["accountIds"] = [self._graph.account]
        return compiled


def _tags(entity: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: ",".join(tag["values"]) for tag in entity["tags"]}
