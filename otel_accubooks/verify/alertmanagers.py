"""Who tells people of alerts: each Alertmanager, whether Prometheus tells it, and what it would do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS, WATCHDOG
from otel_accubooks.servers.alertmanager import Alertmanager
from otel_accubooks.servers.api import DIRECT, Api, ApiError
from otel_accubooks.servers.exposition import Exposition, exposed, total
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.vendors.promql import SERVICE
from otel_accubooks.verify.finding import Finding, until
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.prometheus import unix
from otel_accubooks.verify.routes import additions, differences, unequal
from otel_accubooks.verify.source import clock
from otel_accubooks.verify.way import Site

# Prometheus tells again of what lasts once a minute.
RESENT_SECONDS = 60.0
_PATIENCE_SECONDS = RESENT_SECONDS + 30
# What the contract's alerts are told apart by; without them nobody finds their way.
_KEPT = ("alertname", "severity", "escalation", SERVICE, "pool", "queue", "tier", "test")
_ALERTS = "/api/v2/alerts"
_ASKED_SECONDS = 3.0
_SENT, _ERRORS = "prometheus_notifications_sent_total", "prometheus_notifications_errors_total"


def look_told(site: Site) -> Iterator[Look]:
    """Prometheus tells each Alertmanager, and each would tell whom the contract says."""
    finding = Finding("told")
    if not site.servers.alertmanager:
        finding.faults.append("no Alertmanager is known: name it by --alertmanager")
    added: dict[str, dict[str, Any]] = {}
    for address in site.servers.alertmanager:
        with closing(Alertmanager(address)) as one:
            try:
                _look_at_configuration(one, site, added, finding)
                _look_at_silences(address, finding)
            except ApiError as error:
                finding.faults.append(str(error))
    with closing(Prometheus(site.servers.prometheus)) as client:
        look_at_telling(client, site, finding)
    told = f"told to {len(site.servers.alertmanager)}, with the contract's routes and receivers"
    yield finding.look(told)


def look_at_telling(client: Prometheus, site: Site, finding: Finding) -> None:
    """Whether this Prometheus tells every Alertmanager, of every alert, as it is."""
    finding.faults += [f"{client.address}: {fault}" for fault in _relabelled(client.config())]
    urls = client.alertmanagers()
    finding.evidence.append(f"{client.address} tells {', '.join(urls) or 'nobody'}")
    wanted = len(site.servers.alertmanager)
    if len(set(urls)) < wanted:
        finding.faults.append(
            f"{client.address} tells {len(set(urls))} Alertmanagers, expected {wanted}: name them in "
            "targets/alertmanager.yml (collector/prometheus/)"
        )
    _look_who_is_told(client, urls, site, finding)
    for address in site.servers.alertmanager:
        _look_at_watchdog(address, client, site, finding)
    if not finding.faults:
        _look_at_notifications(client, urls, site, finding)


def _look_who_is_told(client: Prometheus, urls: list[str], site: Site, finding: Finding) -> None:
    """Not somebody else in place of one of a pair, who hears of alerts from the other Prometheus.

    Under another address an Alertmanager is known by when it was started; where the address that
    Prometheus has leads nowhere from here, nobody can tell.
    """
    hosts = {_host(url) for url in urls}
    others = [url for url in urls if _host(url) not in map(_host, site.servers.alertmanager)]
    for address in site.servers.alertmanager:
        if _host(address) in hosts:
            continue
        began = _began(address)
        if not any(_began(url) in (began, None) for url in others):
            finding.faults.append(
                f"{client.address} does not tell {_host(address)}, but {', '.join(map(_host, others))}: "
                "name it in targets/alertmanager.yml (collector/prometheus/)"
            )


def _began(url: str) -> str | None:
    """When the Alertmanager there was started; "" for something else, None where nobody can tell."""
    try:
        with httpx.Client(timeout=_ASKED_SECONDS, mounts=DIRECT) as client:
            answer = client.get(f"{url.removesuffix(_ALERTS)}/api/v2/status")
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return None
        return str(answer.json()["uptime"])
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    except (ValueError, KeyError, TypeError):
        return ""


def _look_at_configuration(
    one: Alertmanager, site: Site, added: dict[str, dict[str, Any]], finding: Finding
) -> None:
    """`added` has what the first one of each version has besides the rendered: one of a pair is tried."""
    status = one.status()
    version = status.get("versionInfo", {}).get("version")
    finding.evidence.append(f"{one.address}: Alertmanager {version}, up since {status['uptime']}")
    running = yaml.safe_load(status["config"]["original"])
    finding.faults += [f"{one.address}: {fault}" for fault in differences(running, site.to)]
    ours = additions(running, site.to)
    if keys := unequal(added.setdefault(str(version), ours), ours):
        finding.faults.append(
            f"{one.address}: {'; '.join(keys)}: not as in the first of the pair: give both one "
            "configuration, and reload"
        )


def _look_at_silences(address: str, finding: Finding) -> None:
    with closing(Api(address, {})) as api:
        silences = api.ask("GET", "/api/v2/silences")
    for silence in silences:
        if silence["status"]["state"] != "active":
            continue
        hit = [alert.name for alert in ALERTS if _silences(silence["matchers"], alert)]
        if hit:
            finding.faults.append(
                f"{address}: {', '.join(hit[:3])}{' and others' if len(hit) > 3 else ''} are silenced "
                f"by {silence['createdBy'] or 'somebody'} until {silence['endsAt']} "
                f"({silence['comment']}): end the silence {silence['id']}"
            )


def _silences(matchers: list[dict[str, Any]], alert: Alert) -> bool:
    """Whether it may hit the alert: what labels it has besides these, nobody knows before it fires."""
    known = {"alertname": alert.name, "severity": alert.severity}
    return all(_matches(one, known[one["name"]]) for one in matchers if one["name"] in known)


def _matches(matcher: Mapping[str, Any], value: str) -> bool:
    if matcher["isRegex"]:
        hit = re.fullmatch(matcher["value"], value) is not None
    else:
        hit = matcher["value"] == value
    return hit if matcher.get("isEqual", True) else not hit


def _relabelled(config: Mapping[str, Any]) -> Iterator[str]:
    """What takes an alert, or a label that it needs, away before it is told."""
    alerting = config.get("alerting") or {}
    rules = list(alerting.get("alert_relabel_configs") or [])
    for one in alerting.get("alertmanagers") or []:
        rules += one.get("alert_relabel_configs") or []
    for rule in rules:
        action, regex = rule.get("action", "replace"), str(rule.get("regex", "(.*)"))
        hits = [label for label in _KEPT if re.fullmatch(regex, label)]
        if action == "labeldrop" and not hits:
            continue
        if action == "labelkeep" and len(hits) == len(_KEPT):
            continue
        if action == "replace" and rule.get("target_label") not in _KEPT:
            continue
        yield f"alert_relabel_configs has a rule ({action} {regex}) that may take alerts away: end it"


def _look_at_watchdog(address: str, client: Prometheus, site: Site, finding: Finding) -> None:
    """It always fires, so that who does not know of it now is told nothing."""
    with closing(Alertmanager(address)) as one:
        known: list[dict[str, Any]] = []

        def told() -> bool:
            known[:] = one.alerts(alertname=WATCHDOG)
            return any(_fresh(alert, clock(client)) for alert in known)

        try:
            if not told() and not finding.faults:
                site.say(f"waiting for {WATCHDOG} at {one.address}")
                until(told, _PATIENCE_SECONDS)
        except ApiError as error:
            finding.faults.append(str(error))
            return
        now = clock(client)
    fresh = [alert for alert in known if _fresh(alert, now)]
    if not fresh:
        finding.faults.append(
            f"{address} does not know {WATCHDOG}, which always fires: it is not told of alerts; "
            "does Prometheus reach it, and has it the rules?"
        )
        return
    since = now - unix(fresh[0]["updatedAt"])
    finding.evidence.append(f"{address} was told of {WATCHDOG} {since:.0f} s ago")


def _fresh(alert: Mapping[str, Any], now: float) -> bool:
    """Told anew within the last two times that it should have been; and not that it is over."""
    return now - unix(alert["updatedAt"]) < 2.5 * RESENT_SECONDS and unix(alert["endsAt"]) > now


def _look_at_notifications(
    client: Prometheus, urls: list[str], site: Site, finding: Finding
) -> None:
    """Each is reached: never an error, or since then sent without one."""
    try:
        own = exposed(f"{client.address}/metrics")
    except ApiError as error:
        finding.doubts.append(f"does Prometheus reach Alertmanager? It does not tell: {error}")
        return
    pending = []
    for url in urls:
        sent, errors = (total(own, name, alertmanager=url) for name in (_SENT, _ERRORS))
        finding.evidence.append(f"{_host(url)}: {sent:g} alerts sent, {errors:g} errors")
        if errors or not sent:
            pending.append(url)
    if pending:
        site.say("waiting for the next time that Prometheus tells of alerts")
        now = own
        for url in pending:
            if not until(lambda url=url: _sent_since(client, url, now), _PATIENCE_SECONDS):  # type: ignore[misc]
                finding.faults.append(
                    f"{client.address} sends alerts to {_host(url)} in vain: is that Alertmanager up?"
                )


def _sent_since(client: Prometheus, url: str, before: Exposition) -> bool:
    after = exposed(f"{client.address}/metrics")
    sent, errors = (
        total(after, name, alertmanager=url) - total(before, name, alertmanager=url)
        for name in (_SENT, _ERRORS)
    )
    # Alerts that failed are counted as sent, too.
    return sent > errors


def _host(url: str) -> str:
    """Without the credentials that it may have."""
    return urlsplit(url).netloc.rpartition("@")[2]
