"""Who is told in New Relic, by severity."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from newrelic_schema import refusals
from test_newrelic import TO, rendered

from otel_accubooks.contract.alert import CHANNELS
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.vendors.addresses import Phone
from otel_accubooks.vendors.newrelic import files


@pytest.mark.parametrize("phone", ["pagerduty", "opsgenie", "webhook"])
@pytest.mark.parametrize("severity", ["P0", "P1", "P2", "P3"])
def test_a_severity_is_told_by_its_channels(severity: Any, phone: Phone) -> None:
    """One workflow on the policy, with a channel for each; a channel is in one workflow only."""
    told = json.loads(files(replace(TO, phone=phone))["notifications.json"])
    channels = {one["name"]: one for one in told["channels"]}
    (workflow,) = (one for one in told["workflows"] if one["name"] == f"otel-accubooks {severity}")
    (predicate,) = workflow["issuesFilter"]["predicates"]
    assert predicate["values"] == [f"otel-accubooks {severity}"]
    used = [channels[one["channel"]] for one in workflow["destinationConfigurations"]]
    phones = {
        "pagerduty": "PAGERDUTY_SERVICE_INTEGRATION",
        "opsgenie": "WEBHOOK",
        "webhook": "WEBHOOK",
    }
    types = {"phone": phones[phone], "email": "EMAIL", "slack": "SLACK", "info": "SLACK"}
    assert [one["type"] for one in used] == [types[kind] for kind in CHANNELS[severity]]
    slack = "#books-info" if severity == "P3" else "#books"
    for one in used:
        if one["type"] == "SLACK":
            assert {"key": "channelId", "value": slack} in one["properties"]
    every = [one["channel"] for w in told["workflows"] for one in w["destinationConfigurations"]]
    assert len(every) == len(set(every)) == len(channels)


def test_data_integrity_goes_up_too() -> None:
    """On top of its policy: whoever is named for escalation, by the name of the condition."""
    told = rendered("notifications.json")
    (workflow,) = (one for one in told["workflows"] if one["name"] == "otel-accubooks escalation")
    (predicate,) = workflow["issuesFilter"]["predicates"]
    assert predicate["values"] == [alert.name for alert in ALERTS if alert.escalates]
    assert predicate["attribute"] == "accumulations.conditionName"
    destinations = {one["name"]: one["properties"][0]["value"] for one in told["destinations"]}
    assert destinations["otel-accubooks escalation"] == "cto@books.example"
    assert destinations["otel-accubooks email"] == "on-call@books.example,second@books.example"


def test_notifications_are_inputs_of_new_relic() -> None:
    """But for the ids, which only an account knows."""
    told = rendered("notifications.json")
    for one in told["destinations"]:
        assert refusals("AiNotificationsDestinationInput", one) == []
    for one in told["channels"]:
        channel = {k: v for k, v in one.items() if k != "destination"} | {"destinationId": "1"}
        assert refusals("AiNotificationsChannelInput", channel) == []
    for one in told["workflows"]:
        to = [
            {"channelId": "1", "notificationTriggers": c["notificationTriggers"]}
            for c in one["destinationConfigurations"]
        ]
        workflow = one | {"destinationConfigurations": to}
        assert refusals("AiWorkflowsCreateWorkflowInput", workflow) == []
    for one in rendered("policies.json"):
        assert refusals("AlertsPolicyInput", one) == []
