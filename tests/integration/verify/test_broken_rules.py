"""Rules that Prometheus has, and that are not those of the contract."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from conftest import eventually

from otel_accubooks.verify.look import Look
from tests.integration.verify.deployed import PATIENCE, Place, failed, reloaded

pytestmark = pytest.mark.timeout(900)  # the deployment is started by the first test


def _rule(rules: Any, name: str) -> dict[str, Any]:
    return next(
        rule
        for group in rules["groups"]
        for rule in group["rules"]
        if name in (rule.get("alert"), rule.get("record"))
    )


def _break_rules(rules: Any) -> None:
    """As many faults as there is room for, one to a rule."""
    error_rate = _rule(rules, "HighErrorRate")
    error_rate["expr"] = error_rate["expr"].replace("> 1)", "> 10)")
    _rule(rules, "DatabasePoolExhaustion")["for"] = "50m"
    _rule(rules, "SystemUnhealthy")["labels"]["severity"] = "P1"
    _rule(rules, "DataIntegrityIssue")["expr"] = "vector(1) > 0"  # it fires at once
    _rule(rules, "HighLatency")["annotations"]["runbook_url"] = "https://elsewhere.example"
    _rule(rules, "DatabaseConnectionErrors")["labels"]["team"] = "nobody"
    _rule(rules, "RedisMemoryCritical")["expr"] = "up + on() up"  # several answers for one
    _rule(rules, "ServerErrorBurst")["keep_firing_for"] = "1h"
    quick = rules["groups"][1]
    quick["rules"].remove(_rule(rules, "ForecastQueueDepthHigh"))
    quick["rules"].append(copy.deepcopy(_rule(rules, "RedisMemoryWarning")))
    recorded = _rule(rules, "job:http_requests_total:growth5m")
    recorded["expr"] = recorded["expr"].replace("[5m]", "[1m]")
    hasty = _rule(rules, "NoActiveUsers")
    quick["rules"].remove(hasty)
    rules["groups"].append({"name": "hasty", "interval": "1s", "rules": [hasty]})


@pytest.fixture(scope="module")
def rules_broken(place: Place) -> Iterator[dict[str, Look]]:
    """What is seen of the rules while they are broken, and of what fires then."""
    with reloaded(place.prometheus, place.rules, _break_rules):
        looks = place.looks("alerts P0")
        calm: list[Look] = []
        # Told of since the rule was evaluated.
        eventually(lambda: calm.append(place.look("calm")) or calm[-1].state != "passed", PATIENCE)
        yield {look.name: look for look in looks} | {"calm": calm[-1]}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("alerts P0", "HighErrorRate: it asks ("),
        ("alerts P0", "DatabasePoolExhaustion: it waits 3000 s, expected 300 s"),
        ("alerts P0", "SystemUnhealthy: labels are {'severity': 'P1'}"),
        ("alerts P0", "DataIntegrityIssue: it asks vector(1) > 0"),
        ("calm", "P0 DataIntegrityIssue is firing"),
        ("alerts P1", "HighLatency: runbook_url is 'https://elsewhere.example'"),
        ("alerts P1", "DatabaseConnectionErrors: labels are {'severity': 'P1', 'team': 'nobody'}"),
        ("alerts P1", "RedisMemoryCritical: its evaluation is err"),
        ("alerts P1", "ServerErrorBurst: it goes on for 3600 s after its end"),
        ("alerts P1", "ForecastQueueDepthHigh: there is no such rule: render the rules again"),
        ("alerts P2", "RedisMemoryWarning: there are 2 rules of this name"),
        ("alerts P3", "NoActiveUsers: evaluated every 1 s, expected 15 s"),
        ("recordings", "job:http_requests_total:growth5m: it asks"),
    ],
)
def test_a_rule_that_is_not_the_contracts(
    rules_broken: Mapping[str, Look], name: str, told: str
) -> None:
    """Each is named, with what it is and what it should be."""
    failed(rules_broken[name], told)
