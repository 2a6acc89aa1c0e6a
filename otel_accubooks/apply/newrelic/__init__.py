"""Brings policies, conditions, notifications, a check and dashboards into a New Relic account.

What is ours is known by its name (policies, destinations, channels, workflows), by the mark in its
description (conditions) or by a tag (dashboards, monitors). Nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.apply.change import Change
from otel_accubooks.apply.newrelic.alerting import Alerting
from otel_accubooks.apply.newrelic.entities import Entities
from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.apply.newrelic.notifying import Notifying
from otel_accubooks.servers.api import Api
from otel_accubooks.vendors.addresses import Addresses


def changes(api: Api, to: Addresses, account: int) -> Iterator[Change]:
    """What has to change in the account of this number, in the order in which it can be carried out.

    Every object is asked for before the first change, so that nothing is done by halves where a
    destination is missing that only people can make. Raises ApiError.
    """
    graph = NerdGraph(api, account)
    alerting, notifying, entities = Alerting(graph, to), Notifying(graph, to), Entities(graph, to)
    yield from entities.wanted()
    yield from alerting.wanted()
    yield from notifying.wanted()
    yield from notifying.leftovers()
    yield from alerting.leftovers()
    yield from entities.leftovers()
