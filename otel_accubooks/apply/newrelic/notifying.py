"""Destinations, channels and workflows of an account."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from otel_accubooks.apply.change import Change, difference
from otel_accubooks.apply.newrelic import documents
from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.apply.newrelic.settling import settled
from otel_accubooks.servers.api import ApiError
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.newrelic.marks import PREFIX
from otel_accubooks.vendors.newrelic.notifications import Found, found, notifications

_NOTIFICATIONS = "actor.account.aiNotifications"
Rows = dict[str, dict[str, Any]]


class Notifying:
    """What is there, asked for once, and what should be.

    `_ids` are those known so far, of destinations by type and name, of channels by "" and name.
    """

    def __init__(self, graph: NerdGraph, to: Addresses) -> None:
        self._graph = graph
        self._surplus: list[tuple[str, dict[str, Any]]] = []
        compiled = notifications(to)
        every = list(
            graph.every(documents.DESTINATIONS, f"{_NOTIFICATIONS}.destinations", "entities")
        )
        self._destinations = self._ours("destination", every)
        self._channels = self._ours(
            "channel", graph.every(documents.CHANNELS, f"{_NOTIFICATIONS}.channels", "entities")
        )
        path = "actor.account.aiWorkflows.workflows"
        self._workflows = self._ours("workflow", graph.every(documents.WORKFLOWS, path, "entities"))
        self._ids = {
            **{(one.type, one.name): _found(one, every) for one in found(to)},
            **{(one["type"], name): one["id"] for name, one in self._destinations.items()},
            **{("", name): one["id"] for name, one in self._channels.items()},
        }
        self._names = {identity: name for (_, name), identity in self._ids.items()}
        self._wanted: dict[str, Rows] = {
            "destination": {one["name"]: one for one in compiled["destinations"]},
            "channel": {one["name"]: self._in_slack(one) for one in compiled["channels"]},
            "workflow": {one["name"]: one for one in compiled["workflows"]},
        }

    def _ours(self, kind: str, rows: Any) -> Rows:
        ours: Rows = {}
        for row in rows:
            if row["name"].startswith(PREFIX) and ours.setdefault(row["name"], row) is not row:
                self._surplus.append((kind, row))
        return ours

    def wanted(self) -> Iterator[Change]:
        """A change for each destination, channel and workflow: what is read stands before its reader."""
        for name, wanted in self._wanted["destination"].items():
            yield settled(
                "destination", name, _by_key(self._destinations.get(name)), _by_key(wanted),
                create=partial(self._create_destination, wanted),
                update=partial(self._update, documents.UPDATE_DESTINATION, wanted["type"], wanted),
            )  # fmt: skip
        for name, wanted in self._wanted["channel"].items():
            shown = {key: value for key, value in wanted.items() if key != "product"}
            yield settled(
                "channel", name, self._shown_channel(name), _by_key(shown),
                create=partial(self._create_channel, wanted),
                update=partial(self._update, documents.UPDATE_CHANNEL, "", wanted),
            )  # fmt: skip
        for name, wanted in self._wanted["workflow"].items():
            yield settled(
                "workflow", name, self._shown_workflow(name), _sorted(wanted),
                create=partial(self._create_workflow, wanted),
                update=partial(self._update_workflow, wanted),
            )  # fmt: skip

    def leftovers(self) -> Iterator[Change]:
        """A deletion for each of ours that is wanted no more: who reads goes before what is read."""
        kinds = (
            ("workflow", self._workflows, documents.DELETE_WORKFLOW),
            ("channel", self._channels, documents.DELETE_CHANNEL),
            ("destination", self._destinations, documents.DELETE_DESTINATION),
        )
        for kind, there, document in kinds:
            gone = [row for name, row in there.items() if name not in self._wanted[kind]]
            for row in (*gone, *(row for one, row in self._surplus if one == kind)):
                yield Change(
                    "delete", kind, row["name"], difference(row, None),
                    partial(self._graph.change, document, id=row["id"]),
                )  # fmt: skip

    def _in_slack(self, channel: dict[str, Any]) -> dict[str, Any]:
        """The same channel, with the id by which Slack knows it."""
        if channel["type"] != "SLACK":
            return channel
        properties = [
            {"key": one["key"], "value": self._slack_id(channel["destination"], one["value"])}
            if one["key"] == "channelId"
            else one
            for one in channel["properties"]
        ]
        return channel | {"properties": properties}

    def _slack_id(self, workspace: str, channel: str) -> str:
        name = channel.removeprefix("#")
        asked = self._graph.ask(
            documents.SLACK_CHANNELS, destination=self._ids["SLACK", workspace], name=name
        )
        told = asked["actor"]["account"]["aiNotifications"]["suggestions"]["entities"]
        for one in told:
            if one["displayValue"].removeprefix("#") == name:
                return str(one["value"])
        raise ApiError(
            f"New Relic: Slack workspace {workspace} has no channel #{name} that New Relic's app may see;"
            " make it in Slack, and invite the app if it is private"
        )

    def _shown_channel(self, name: str) -> dict[str, Any] | None:
        row = self._channels.get(name)
        if row is None:
            return None
        destination = self._names.get(row["destinationId"], row["destinationId"])
        return _by_key(row | {"destination": destination})

    def _shown_workflow(self, name: str) -> dict[str, Any] | None:
        row = self._workflows.get(name)
        if row is None:
            return None
        configurations = [
            one | {"channel": self._names.get(one["channelId"], one["channelId"])}
            for one in row["destinationConfigurations"]
        ]
        return _sorted(row | {"destinationConfigurations": configurations})

    def _create_destination(self, wanted: dict[str, Any]) -> None:
        made = self._graph.change(documents.CREATE_DESTINATION, input=wanted)
        self._ids[wanted["type"], wanted["name"]] = made["destination"]["id"]

    def _create_channel(self, wanted: dict[str, Any]) -> None:
        entered = {key: value for key, value in wanted.items() if key != "destination"}
        entered["destinationId"] = self._ids[wanted["type"], wanted["destination"]]
        made = self._graph.change(documents.CREATE_CHANNEL, input=entered)
        self._ids["", wanted["name"]] = made["channel"]["id"]

    def _update(self, document: str, of: str, wanted: dict[str, Any]) -> None:
        entered = {"name": wanted["name"], "properties": wanted["properties"]}
        self._graph.change(document, id=self._ids[of, wanted["name"]], input=entered)

    def _create_workflow(self, wanted: dict[str, Any]) -> None:
        self._graph.change(documents.CREATE_WORKFLOW, input=self._with_ids(wanted))

    def _update_workflow(self, wanted: dict[str, Any]) -> None:
        there = self._workflows[wanted["name"]]
        filtered = {"id": there["issuesFilter"]["id"], "filterInput": wanted["issuesFilter"]}
        entered = self._with_ids(wanted) | {"id": there["id"], "issuesFilter": filtered}
        self._graph.change(documents.UPDATE_WORKFLOW, input=entered)

    def _with_ids(self, workflow: dict[str, Any]) -> dict[str, Any]:
        configurations = [
            {
                "channelId": self._ids["", one["channel"]],
                "notificationTriggers": one["notificationTriggers"],
            }
            for one in workflow["destinationConfigurations"]
        ]
        return workflow | {"destinationConfigurations": configurations}


def _found(needed: Found, there: list[dict[str, Any]]) -> str:
    for one in there:
        if (one["name"], one["type"]) == (needed.name, needed.type):
            return str(one["id"])
    raise ApiError(
        f"New Relic has no destination {needed.name!r} of type {needed.type}: make it once, under Alerts >"
        f" Destinations (it needs {needed.needs}, which only people have), and apply again"
    )


def _by_key(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same row, its properties as a mapping: their order says nothing."""
    if row is None:
        return None
    return row | {"properties": {one["key"]: one["value"] for one in row["properties"]}}


def _sorted(workflow: dict[str, Any]) -> dict[str, Any]:
    rows = sorted(workflow["destinationConfigurations"], key=lambda one: str(one["channel"]))
    return workflow | {"destinationConfigurations": rows}
