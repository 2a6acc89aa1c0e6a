"""Who is told by Datadog: the integrations that the handles in messages stand for, and the heartbeat."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from otel_accubooks.contract.alerts import WATCHDOG
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify.datadog_monitors import Monitors
from otel_accubooks.verify.finding import Finding
from otel_accubooks.verify.look import Look

_SETTINGS = "/api/v1/integration"
_WEBHOOKS = f"{_SETTINGS}/webhooks/configuration/webhooks"


def channel_faults(api: Api, to: Addresses) -> Iterator[str]:
    """A line for each handle that stands for nothing."""
    account = quote(to.slack_workspace, safe="")
    path = f"{_SETTINGS}/slack/configuration/accounts/{account}/channels"
    try:
        found = {one["name"].removeprefix("#") for one in api.ask("GET", path, missing=[])}
        for channel in (to.slack_channel, to.slack_info_channel):
            if channel.removeprefix("#") not in found:
                yield (
                    f"Datadog's Slack integration knows no channel {channel} of {to.slack_workspace}: add"
                    " it there, under Integrations > Slack"
                )
        if not _phone(api, to):
            yield (
                f"Datadog's {to.phone} integration knows no {to.phone_service}: add it there, under"
                " Integrations"
            )
    except ApiError as error:
        yield str(error)


def _phone(api: Api, to: Addresses) -> bool:
    name = quote(to.phone_service, safe="")
    if to.phone == "pagerduty":
        path = f"{_SETTINGS}/pagerduty/configuration/services/{name}"
        return api.ask("GET", path, missing=None) is not None
    if to.phone == "opsgenie":
        found = api.ask("GET", "/api/v2/integration/opsgenie/services")["data"]
        return any(one["attributes"]["name"] == to.phone_service for one in found)
    hook = api.ask("GET", f"{_WEBHOOKS}/{name}", missing=None)
    return hook is not None and hook["url"] == to.phone_url


def heartbeat_look(api: Api, to: Addresses, monitors: Monitors) -> Look:
    """Watchdog beats, to the switch outside."""
    finding = Finding("heartbeat")
    name = f"{to.phone_service}-heartbeat"
    if not to.heartbeat_url:
        finding.faults.append(
            "heartbeat_url of alerting.toml is not set: have a dead-man's switch outside, name its"
            " address there, bring it with `otel-accubooks apply datadog`"
        )
        return finding.look("")
    hook = api.ask("GET", f"{_WEBHOOKS}/{quote(name, safe='')}", missing=None)
    if hook is None or hook["url"] != to.heartbeat_url:
        finding.faults.append(
            f"Datadog has no webhook {name} to heartbeat_url of alerting.toml: add it there, under"
            " Integrations > Webhooks"
        )
    state = monitors.state(WATCHDOG)
    finding.evidence.append(f"{WATCHDOG} is in state {state or 'unknown'}")
    if state != "Alert":
        finding.faults.append(
            f"{WATCHDOG} is in state {state or 'unknown'}, expected Alert, always: do points come?"
        )
    finding.doubts.append(
        f"whether the switch hears cannot be seen here: confirm that {urlsplit(to.heartbeat_url).hostname}"
        " had a beat in the last 15 minutes"
    )
    return finding.look("the heartbeat goes out")
