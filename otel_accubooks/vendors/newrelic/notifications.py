"""New Relic: who is told, by severity. A destination is an address, a channel a message to it, and a
workflow brings the issues of a policy to its channels.

What needs a secret or a login to be made (Slack, the phone) is made once by people and found by its
name; everything else is ours.
Source: https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-api-workflows/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from otel_accubooks.contract.alert import CHANNELS, Channel
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.vendors.addresses import Addresses, Phone
from otel_accubooks.vendors.newrelic.marks import PREFIX, SEVERITIES, policy

EMAIL = f"{PREFIX}email"
ESCALATION = f"{PREFIX}escalation"
HEARTBEAT = f"{PREFIX}heartbeat"

_PHONES: dict[Phone, str] = {
    "pagerduty": "PAGERDUTY_SERVICE_INTEGRATION",
    "opsgenie": "WEBHOOK",
    "webhook": "WEBHOOK",
}
_SUBJECT = "{{priority}} {{state}}: {{issueTitle}}"
_TEXT = "{{#each annotations.description}}{{this}}\n{{/each}}{{issuePageUrl}}"
_DETAILS = (
    '{"alert": {{json accumulations.conditionName}}, "policy": {{json accumulations.policyName}}, '
    '"state": {{json state}}, "title": {{json issueTitle}}, "runbook": {{json accumulations.runbookUrl}}, '
    '"issue": {{json issuePageUrl}}}'
)


@dataclass(frozen=True)
class Found:
    """A destination that people made: by its name and type it is found, or it says what is missing."""

    name: str
    type: str
    needs: str


def found(to: Addresses) -> tuple[Found, ...]:
    """The destinations that have to be there."""
    key = "its integration key" if to.phone == "pagerduty" else "its address and its key or token"
    return (
        Found(to.slack_workspace, "SLACK", "a login to Slack"),
        Found(to.phone_service, _PHONES[to.phone], key),
    )


def notifications(to: Addresses) -> dict[str, Any]:
    """Everything about who is told.

    `destinations` are AiNotificationsDestinationInput; `found` the ones that people make; `channels` are
    AiNotificationsChannelInput, with `destination` in place of its id; `workflows` are
    AiWorkflowsCreateWorkflowInput, with the names of channels in place of their ids. In a Slack channel,
    `channelId` is the channel's name until the account has told its id.
    """
    channels: list[dict[str, Any]] = []
    workflows: list[dict[str, Any]] = []
    for severity in SEVERITIES:
        kinds = [kind for kind in CHANNELS[severity] if kind != "heartbeat" or to.heartbeat_url]
        made = [_channel(policy(severity), kind, to) for kind in kinds]
        if made:
            filtered = _predicate("accumulations.policyName", policy(severity))
            workflows.append(_workflow(policy(severity), filtered, made))
        channels += made
    escalated = [_channel(ESCALATION, "escalation", to)]
    names = [alert.name for alert in ALERTS if alert.escalates]
    filtered = _predicate("accumulations.conditionName", *names)
    workflows.append(_workflow(ESCALATION, filtered, escalated))
    return {
        "destinations": _destinations(to),
        "found": [{"name": one.name, "type": one.type} for one in found(to)],
        "channels": channels + escalated,
        "workflows": workflows,
    }


def _destinations(to: Addresses) -> list[dict[str, Any]]:
    made = [
        _destination(EMAIL, "EMAIL", "email", ",".join(to.email)),
        _destination(ESCALATION, "EMAIL", "email", ",".join(to.escalation_email)),
    ]
    if to.heartbeat_url:
        made.append(_destination(HEARTBEAT, "WEBHOOK", "url", to.heartbeat_url))
    return made


def _destination(name: str, kind: str, key: str, value: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "properties": [{"key": key, "value": value}]}


def _channel(workflow: str, kind: Channel, to: Addresses) -> dict[str, Any]:
    email = {"subject": _SUBJECT, "customDetailsEmail": _TEXT}
    slack = {"channelId": to.slack_channel, "customDetailsSlack": _TEXT}
    webhook = {"payload": _DETAILS, "headers": json.dumps({})}
    pager = {"summary": _SUBJECT, "customDetails": _DETAILS}
    phone = _PHONES[to.phone]
    name, channel_type, properties = {
        "phone": (to.phone_service, phone, webhook if phone == "WEBHOOK" else pager),
        "email": (EMAIL, "EMAIL", email),
        "slack": (to.slack_workspace, "SLACK", slack),
        "info": (to.slack_workspace, "SLACK", slack | {"channelId": to.slack_info_channel}),
        "escalation": (ESCALATION, "EMAIL", email),
        "heartbeat": (HEARTBEAT, "WEBHOOK", webhook),
    }[kind]
    return {
        # A channel stays with its type and destination: with another one, it is another channel.
        "name": f"{workflow}: {kind} by {channel_type} {name}",
        "type": channel_type,
        "product": "IINT",
        "destination": name,
        "properties": [{"key": key, "value": value} for key, value in properties.items()],
    }


def _predicate(attribute: str, *values: str) -> dict[str, Any]:
    return {"attribute": attribute, "operator": "EXACTLY_MATCHES", "values": list(values)}


def _workflow(
    name: str, predicate: dict[str, Any], channels: list[dict[str, Any]]
) -> dict[str, Any]:
    # A heartbeat is the opening; every other alert is told when it is over, too.
    triggers = ["ACTIVATED"] if name == HEARTBEAT else ["ACTIVATED", "CLOSED"]
    return {
        "name": name,
        "workflowEnabled": True,
        "destinationsEnabled": True,
        "enrichmentsEnabled": False,
        "mutingRulesHandling": "DONT_NOTIFY_FULLY_MUTED_ISSUES",
        "issuesFilter": {"name": name, "type": "FILTER", "predicates": [predicate]},
        "destinationConfigurations": [
            {"channel": channel["name"], "notificationTriggers": triggers} for channel in channels
        ],
    }
