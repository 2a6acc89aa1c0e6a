"""Policies and conditions of an account."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from otel_accubooks.apply.change import Change, difference
from otel_accubooks.apply.newrelic import documents
from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.apply.newrelic.settling import settled
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.newrelic.conditions import conditions, policies
from otel_accubooks.vendors.newrelic.marks import MARK, PREFIX

_ALERTS = "actor.account.alerts"


class Alerting:
    """What is there, asked for once, and what should be."""

    def __init__(self, graph: NerdGraph, to: Addresses) -> None:
        self._graph = graph
        self._policies: dict[str, dict[str, Any]] = {}
        self._surplus: list[dict[str, Any]] = []
        self._conditions: dict[str, list[dict[str, Any]]] = {}
        for policy in graph.every(documents.POLICIES, f"{_ALERTS}.policiesSearch", "policies"):
            if policy["name"].startswith(PREFIX):
                known = self._policies.setdefault(policy["name"], policy)
                if known is not policy:
                    self._surplus.append(policy)
                self._conditions[policy["id"]] = list(self._asked(policy["id"]))
        self._wanted = {policy["name"]: policy for policy in policies()}
        self._ids = {name: policy["id"] for name, policy in self._policies.items()}
        self._kept: set[str] = set()
        self._compiled = [conditions(alert, to) for alert in ALERTS]

    def _asked(self, policy: str) -> Iterator[dict[str, Any]]:
        path = f"{_ALERTS}.nrqlConditionsSearch"
        return self._graph.every(documents.CONDITIONS, path, "nrqlConditions", policy=policy)

    def wanted(self) -> Iterator[Change]:
        """A change for each policy and condition of the contract."""
        for name, wanted in self._wanted.items():
            yield settled(
                "policy", name, self._policies.get(name), wanted,
                create=partial(self._create_policy, wanted),
                update=partial(self._update_policy, wanted),
            )  # fmt: skip
        for compiled in self._compiled:
            for one in compiled["conditions"]:
                yield self._condition(compiled["policy"], one["type"], one["condition"])

    def _condition(self, policy: str, kind: str, wanted: dict[str, Any]) -> Change:
        there = self._conditions.get(self._ids.get(policy, ""), [])
        actual = next(
            (one for one in there if (one["name"], one["type"]) == (wanted["name"], kind)), None
        )
        if actual is not None:
            self._kept.add(actual["id"])
        return settled(
            "condition", wanted["name"], actual, wanted,
            create=partial(self._create_condition, policy, kind, wanted),
            update=lambda: self._update_condition(kind, actual, wanted),
        )  # fmt: skip

    def leftovers(self) -> Iterator[Change]:
        """A deletion for each condition with our mark, and each policy, that the contract has no more."""
        for policy in (*self._policies.values(), *self._surplus):
            there = self._conditions[policy["id"]]
            ours = [one for one in there if MARK in (one["description"] or "")]
            for one in ours:
                if one["id"] not in self._kept:
                    yield Change(
                        "delete", "condition", one["name"], difference(one, None),
                        partial(self._graph.change, documents.DELETE_CONDITION, id=one["id"]),
                    )  # fmt: skip
            surplus = policy["name"] not in self._wanted or policy in self._surplus
            # With a policy all its conditions go, also somebody else's.
            if surplus and len(ours) == len(there):
                yield Change(
                    "delete", "policy", policy["name"], difference(policy, None),
                    partial(self._graph.change, documents.DELETE_POLICY, id=policy["id"]),
                )  # fmt: skip

    def _create_policy(self, wanted: dict[str, Any]) -> None:
        made = self._graph.change(documents.CREATE_POLICY, input=wanted)
        self._ids[wanted["name"]] = made["id"]

    def _update_policy(self, wanted: dict[str, Any]) -> None:
        self._graph.change(documents.UPDATE_POLICY, id=self._ids[wanted["name"]], input=wanted)

    def _create_condition(self, policy: str, kind: str, wanted: dict[str, Any]) -> None:
        document = documents.CREATE_CONDITION[kind]
        self._graph.change(document, policy=self._ids[policy], input=wanted)

    def _update_condition(
        self, kind: str, actual: dict[str, Any] | None, wanted: dict[str, Any]
    ) -> None:
        assert actual is not None, "only what is there is updated"
        self._graph.change(documents.UPDATE_CONDITION[kind], id=actual["id"], input=wanted)
