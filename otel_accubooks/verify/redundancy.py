"""What goes on when a part of alerting dies: a second Alertmanager, a heartbeat, a standby."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import yaml

from otel_accubooks.contract.alerts import WATCHDOG
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.servers.alertmanager import Alertmanager
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.exposition import exposed, total
from otel_accubooks.servers.prometheus import Prometheus, Sample
from otel_accubooks.vendors.prometheus_rules import rules
from otel_accubooks.verify.alertmanagers import look_at_telling
from otel_accubooks.verify.dashboards import Watched, same
from otel_accubooks.verify.finding import Finding, until
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.metrics import shape_faults
from otel_accubooks.verify.routes import HIDDEN
from otel_accubooks.verify.rules import differences
from otel_accubooks.verify.source import FRESH_SECONDS, Source, apart, clock, names
from otel_accubooks.verify.way import Site

_SEE = "docs/redundancy.md"
_HEARTBEAT = "heartbeat"
# It goes out once a minute; whoever of a pair has its turn may take a while.
_BEAT_SECONDS = 150.0
_CLOCKS_SECONDS = 15.0
# Two that scrape, or are written to, for themselves never have the same points at one moment.
_ALIKE = 0.1


def look_pair(site: Site) -> Iterator[Look]:
    """Two Alertmanagers that know each other, so that one may die and nobody is told twice."""
    finding, addresses = Finding("pair"), site.servers.alertmanager
    if len(addresses) < 2:
        finding.faults.append(
            f"{len(addresses)} Alertmanager is known, expected two: start a second ({_SEE}) and name "
            "both by --alertmanager, with a comma between"
        )
    clusters: dict[str, dict[str, Any]] = {}
    for address in addresses:
        with closing(Alertmanager(address)) as one:
            try:
                clusters[address] = one.status()["cluster"]
            except ApiError as error:
                finding.faults.append(str(error))
    for address, cluster in clusters.items():
        _look_at_cluster(address, cluster, clusters, finding)
    with closing(Prometheus(site.servers.prometheus)) as client:
        for alert in client.alerts():
            if alert["labels"].get("alertname") == "RedundancyLost":
                said = alert.get("annotations", {}).get("description", "")
                finding.faults.append(f"RedundancyLost is {alert['state']}: {said} ({_SEE})")
    yield finding.look("two Alertmanagers know each other, and agree")


def _look_at_cluster(
    address: str, cluster: dict[str, Any], all_of_them: dict[str, Any], finding: Finding
) -> None:
    status, name = cluster.get("status"), cluster.get("name")
    seen = {peer["name"] for peer in cluster.get("peers") or []}
    finding.evidence.append(f"{address}: cluster {status}, sees {len(seen)} with itself")
    if status != "ready":
        finding.faults.append(
            f"{address}: its cluster is {status}, expected ready: start both with "
            f"--cluster.listen-address and --cluster.peer ({_SEE})"
        )
        return
    for other, theirs in all_of_them.items():
        if other != address and theirs.get("name") == name:
            finding.faults.append(f"{address} and {other} are one and the same Alertmanager")
        elif other != address and theirs.get("name") not in seen:
            finding.faults.append(
                f"{address} does not see {other} as its peer: does --cluster.peer name it ({_SEE})?"
            )


class Heartbeat:
    """Watchdog goes out to the dead-man's switch, again and again, and is taken there.

    What `begin` counts early saves `look` the waiting for the next beat.
    """

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def begin(self, site: Site) -> None:
        """Counts what was sent so far; nothing happens where that is not told."""
        try:
            self._before = _beats(site)
        except ApiError:
            self._before = None

    def look(self, site: Site) -> Iterator[Look]:
        """One beat since `begin`, and none in vain."""
        finding = Finding("heartbeat")
        if not site.to.heartbeat_url:
            finding.faults.append(
                "heartbeat_url of alerting.toml is not set: have a dead-man's switch outside, name "
                "its address there (docs/alerting.md), render alertmanager.yml again"
            )
        for address in site.servers.alertmanager:
            with closing(Alertmanager(address)) as one:
                try:
                    _look_at_route(one, site, finding)
                except ApiError as error:
                    finding.faults.append(str(error))
        if not finding.faults:
            self._look_at_beats(site, finding)
        yield finding.look("the heartbeat goes out, and is taken")

    def _look_at_beats(self, site: Site, finding: Finding) -> None:
        sent, failed = self._before or _beats(site)
        now = [_beats(site)]

        def beats() -> bool:
            now[:] = [_beats(site)]
            return now[0][0] > sent or now[0][1] > failed

        if not beats():
            site.say("waiting for the next heartbeat")
            until(beats, _BEAT_SECONDS)
        goes, fails = now[0][0] - sent, now[0][1] - failed
        finding.evidence.append(f"{goes:g} told by webhook while looking, {fails:g} tries in vain")
        if goes <= 0 or fails > 0:
            finding.faults.append(
                f"the heartbeat does not get through to heartbeat_url ({fails:g} tries in vain): is "
                "the address right, and reachable for Alertmanager?"
            )


def _look_at_route(one: Alertmanager, site: Site, finding: Finding) -> None:
    running = yaml.safe_load(one.status()["config"]["original"])
    urls = [
        hook.get("url")
        for receiver in running.get("receivers") or []
        if receiver["name"] == _HEARTBEAT
        for hook in receiver.get("webhook_configs") or []
    ]
    if urls not in ([site.to.heartbeat_url], [HIDDEN]):
        finding.faults.append(
            f"{one.address}: the receiver {_HEARTBEAT} tells {urls or 'nobody'}, expected "
            "heartbeat_url of alerting.toml: render alertmanager.yml again and reload it"
        )
    known = one.alerts(alertname=WATCHDOG)
    if not known:
        finding.faults.append(f"{one.address} does not know {WATCHDOG}: is it told of alerts?")
    for alert in known:
        state = alert["status"]
        receivers = [receiver["name"] for receiver in alert["receivers"]]
        told = f"{one.address}: {WATCHDOG} is {state['state']}, for {', '.join(receivers)}"
        finding.evidence.append(told)
        if state["state"] != "active" or _HEARTBEAT not in receivers:
            finding.faults.append(f"{told}; expected active, for {_HEARTBEAT}: is it silenced?")


def _beats(site: Site) -> tuple[float, float]:
    """How many notifications went out by webhook, and how many tries were in vain.

    Of a pair one alone sends it, so that they are counted together. Raises ApiError.
    """
    expositions = [exposed(f"{address}/metrics") for address in site.servers.alertmanager]
    kind = {"integration": "webhook"}
    sent, failed, tries = (
        sum(total(one, f"alertmanager_{name}_total", **kind) for one in expositions)
        for name in ("notifications", "notifications_failed", "notification_requests_failed")
    )
    return sent - failed, failed + tries


def look_standby(site: Site) -> Iterator[Look]:
    """A second Prometheus, with the rules and the data of the first, which tells of alerts too."""
    finding = Finding("standby")
    if not site.servers.standby:
        finding.faults.append(
            f"no standby is known: start a second Prometheus ({_SEE}) and name it by --standby"
        )
        yield finding.look("")
        return
    with (
        closing(Prometheus(site.servers.prometheus)) as first,
        closing(Prometheus(site.servers.standby)) as second,
    ):
        begun = first.runtime().get("startTime"), second.runtime().get("startTime")
        finding.evidence.append(f"{second.address}: started {begun[1]}")
        if begun[0] == begun[1]:
            finding.faults.append(f"{second.address} and {first.address} are one and the same")
        if abs(ahead := apart(second)) > _CLOCKS_SECONDS:
            finding.faults.append(f"its clock is {ahead:+.0f} s from the one here: set it by NTP")
        _look_at_data(first, second, site, finding)
        for rule_finding in differences(second, rules(site.to.runbooks)["groups"]).values():
            finding.faults += rule_finding.faults
            finding.evidence.append(f"{len(rule_finding.evidence)} {rule_finding.name}")
        look_at_telling(second, site, finding)
    yield finding.look(f"{site.servers.standby} has the same rules and the same data")


def _look_at_data(first: Prometheus, second: Prometheus, site: Site, finding: Finding) -> None:
    ours, theirs = (Source(one, site.servers.service) for one in (first, second))
    if theirs.fault:
        finding.faults.append(f"{second.address}: {theirs.fault}")
        return
    every = "|".join(name for metric in METRICS for name in names(metric))
    here, there = (_by_name(source.points(every, FRESH_SECONDS)) for source in (ours, theirs))
    series = [sum(map(len, one.values())) for one in (here, there)]
    finding.evidence.append(
        f"{len(here)} names and {series[0]} series of the last minute here, "
        f"{len(there)} and {series[1]} there"
    )
    if missing := sorted(here.keys() - there.keys()):
        finding.faults.append(
            f"{second.address} lacks {len(missing)} that are fresh in {first.address}, such as "
            f"{missing[0]}: is backends/prometheus-standby.yaml among the gateway's files?"
        )
    elif series[1] < (1 - _ALIKE) * series[0]:
        finding.faults.append(
            f"{second.address} has {series[1]} series of the last minute, {first.address} "
            f"{series[0]}: does it get everything?"
        )
    for metric in METRICS:
        finding.faults += [f"{second.address}: {one}" for one in shape_faults(metric, there)]
    _look_whose_data(Watched(first, ours.job), Watched(second, theirs.job), finding)


def _by_name(samples: list[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.labels["__name__"], []).append(sample)
    return found


def _look_whose_data(first: Watched, second: Watched, finding: Finding) -> None:
    """Another deployment of the same application has the same names, and other uptimes."""
    moment = clock(first.prometheus)
    try:
        if same(first.fingerprint(moment), second.fingerprint(moment)):
            return
    except ApiError as error:
        finding.faults.append(str(error))
        return
    finding.faults.append(
        f"{second.prometheus.address}: its instances, or their uptimes, are not those of the first: is "
        "it fed by the same gateway, and --standby its address?"
    )
