"""Whether anybody is told by New Relic: muting rules, what is not active, and what is open now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.servers.api import ApiError
from otel_accubooks.vendors.newrelic.marks import PREFIX, policy
from otel_accubooks.vendors.newrelic.nrql import quoted
from otel_accubooks.verify.newrelic_nrql import Points

MUTING = """query muting($account: Int!) {
  actor { account(id: $account) { alerts { mutingRules {
    id name enabled status condition { operator conditions { attribute operator values } } } } } } }"""
DESTINATIONS = """query active($account: Int!, $cursor: String) {
  actor { account(id: $account) { aiNotifications { destinations(cursor: $cursor) {
    nextCursor entities { id name active } } } } } }"""
CHANNELS = """query activeChannels($account: Int!, $cursor: String) {
  actor { account(id: $account) { aiNotifications { channels(cursor: $cursor) {
    nextCursor entities { id name active destinationId } } } } } }"""

_NOTIFICATIONS = "actor.account.aiNotifications"
# What of a rule's condition names alerts: by the attributes of an incident.
_NAMES: dict[str, Callable[[Alert], str]] = {
    "policyName": lambda alert: policy(alert.severity),
    "conditionName": lambda alert: alert.name,
}
_EXACT = ("EQUALS", "IN")


def muting_faults(graph: NerdGraph) -> Iterator[tuple[str, str]]:
    """The name of an alert, and the rule that keeps it silent now, or may do so."""
    account = graph.ask(MUTING)["actor"]["account"]
    if account is None:
        raise ApiError(f"New Relic: no account {graph.account}: is its number right?")
    for rule in account["alerts"]["mutingRules"] or ():
        if rule["enabled"] and rule["status"] == "ACTIVE":
            for alert in ALERTS:
                if not _spares(rule["condition"], alert):
                    yield (
                        alert.name,
                        f"muting rule {rule['name']!r} is active and may keep {alert.name} silent: end it,"
                        " or name the policies of others in it",
                    )


def _spares(condition: Any, alert: Alert) -> bool:
    """Whether a rule can be seen to be about something else: where it says so by name."""
    told = [
        one["attribute"] in _NAMES
        and one["operator"] in _EXACT
        and not any(_NAMES[one["attribute"]](alert) in value for value in one["values"])
        for one in condition["conditions"]
    ]
    return any(told) if condition["operator"] == "AND" else bool(told) and all(told)


def telling_faults(graph: NerdGraph) -> Iterator[str]:
    """A line for each destination or channel that our workflows need and that is switched off."""
    channels = [
        one
        for one in graph.every(CHANNELS, f"{_NOTIFICATIONS}.channels", "entities")
        if one["name"].startswith(PREFIX)
    ]
    used = {one["destinationId"] for one in channels}
    for one in channels:
        if not one["active"]:
            yield f"channel {one['name']} is not active: switch it on in New Relic"
    for one in graph.every(DESTINATIONS, f"{_NOTIFICATIONS}.destinations", "entities"):
        if one["id"] in used and not one["active"]:
            yield (
                f"destination {one['name']} is not active: switch it on in New Relic, under Alerts >"
                " Destinations"
            )


def open_incidents(points: Points, named: str) -> list[str]:
    """The conditions of a policy of which an incident is open."""
    opened, closed = (
        f"filter(uniqueCount(incidentId), WHERE event = '{event}')" for event in ("open", "close")
    )
    rows = points.ask(
        f"SELECT {opened} - {closed} AS open FROM NrAiIncident WHERE policyName = {quoted(named)}"
        " FACET conditionName SINCE 3 days ago LIMIT MAX"
    )
    return [str(row["facet"]) for row in rows if (row.get("open") or 0) > 0]
