"""Prometheus itself: does it answer, is what it holds of now, does it scrape every 15 s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from otel_accubooks.contract.query import MINUTE
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.exposition import Exposition, exposed
from otel_accubooks.servers.prometheus import Prometheus, Sample
from otel_accubooks.vendors.promql import APPLICATION_JOB, HEALTH_JOB, quoted
from otel_accubooks.verify.finding import Finding, until
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.source import (
    FRESH_SECONDS,
    GAP_TOLERANCE,
    INTERVAL_SECONDS,
    UPTIME,
    Source,
    apart,
    clock,
    spacing,
)
from otel_accubooks.verify.way import Site

GATEWAY_JOBS = ("otel-gateway", "otel-gateway-export")
TOKEN = "OTEL_ACCUBOOKS_MONITORING_TOKEN"  # noqa: S105
_CLOCKS_SECONDS = 15.0
_LOOKBACK = "5m"
_WATCHED_SECONDS = 3 * MINUTE
# Three points need two intervals; a Prometheus that was just started has none yet.
_PATIENCE_SECONDS = 75.0
# Between an answer of the application and the point that was pushed lies up to one export.
_SAME_PROCESS_SECONDS = 20.0


def look_backend(site: Site) -> Iterator[Look]:
    """It answers, runs the configuration that it was given, and its clock and data are of now."""
    finding = Finding("backend")
    with closing(Prometheus(site.servers.prometheus)) as client:
        runs = client.runtime()
        finding.evidence.append(f"{client.address}: started {runs.get('startTime')}")
        if runs.get("reloadConfigSuccess") is not True:
            finding.faults.append(
                "Prometheus refused the last configuration that it was given and runs an older one: "
                "see its log, `promtool check config`, reload"
            )
        lookback = client.flags().get("query.lookback-delta", _LOOKBACK)
        if lookback != _LOOKBACK:
            finding.faults.append(
                f"a series ends {lookback} after its last point, expected {_LOOKBACK}, by which alerts "
                "and dashboards count: start Prometheus without --query.lookback-delta"
            )
        ahead = apart(client)
        finding.evidence.append(f"its clock is {ahead:+.0f} s from the one here")
        if abs(ahead) > _CLOCKS_SECONDS:
            finding.faults.append(
                f"the clock of Prometheus is {ahead:+.0f} s from the one here: set both by NTP"
            )
        _look_at_age(Source(client, site.servers.service), finding)
        _look_at_storage(client, finding)
    yield finding.look(f"answers; {finding.evidence[-1]}")


def _look_at_age(source: Source, finding: Finding) -> None:
    if source.fault:
        finding.faults.append(source.fault)
        return
    points = source.points(UPTIME, _WATCHED_SECONDS)
    if not points:
        finding.faults.append(
            f"the newest point of {source.job} is older than {_WATCHED_SECONDS:.0f} s: "
            "is the gateway up, does the application run?"
        )
        return
    age = source.now - max(sample.points[-1][0] for sample in points)
    if age > FRESH_SECONDS:
        finding.faults.append(
            f"the newest point of {source.job} is {age:.0f} s old, expected at most "
            f"{FRESH_SECONDS:.0f} s: is the gateway up, does the application run?"
        )
    chosen = f"{UPTIME}{{job={quoted(source.job)}}}"
    coming = source.client.query_range(
        chosen, source.now + FRESH_SECONDS, source.now + 3600, 4 * MINUTE
    )
    # What is asked for a moment to come has an answer by a point of up to five minutes before it.
    ahead = [s for s in coming if _stamped(source, chosen, s) > source.now + _CLOCKS_SECONDS]
    if ahead:
        finding.faults.append(
            f"points of {source.job} have times that are yet to come: set the application's clock"
        )
    finding.evidence.append(f"the newest point of {source.job} is {age:.0f} s old")


def _stamped(source: Source, chosen: str, sample: Sample) -> float:
    """The time of the newest point that answered."""
    found = source.client.query(f"timestamp({chosen})", sample.points[-1][0])
    return max((one.value for one in found), default=0.0)


def _look_at_storage(client: Prometheus, finding: Finding) -> None:
    try:
        own = exposed(f"{client.address}/metrics")
    except ApiError as error:
        finding.doubts.append(f"Prometheus does not show its own metrics: {error}")
        return
    for name, what in _TROUBLES:
        if count := sum(one.value for one in own.get(name, ())):
            finding.faults.append(f"{what} ({name} is {count:g})")


_TROUBLES = (
    (
        "prometheus_tsdb_wal_writes_failed_total",
        "Prometheus could not write data: is the disk full?",
    ),
    (
        "prometheus_tsdb_compactions_failed_total",
        "Prometheus could not compact its data: is the disk full? See its log, restart it",
    ),
    ("prometheus_tsdb_wal_corruptions_total", "Prometheus found damaged data: see its log"),
)


def look_interval(site: Site) -> Iterator[Look]:
    """The application's targets are up and scraped every 15 s, and its points come as often."""
    finding = Finding("interval")
    with closing(Prometheus(site.servers.prometheus)) as client:
        source = Source(client, site.servers.service)
        _look_at_setting(client, finding)
        if not finding.faults and not _all_scraped(client):
            site.say("waiting for the first scrape")
            until(lambda: _all_scraped(client), 2 * INTERVAL_SECONDS)
        targets = _targets(client, APPLICATION_JOB)
        if not targets:
            finding.faults.append(
                f"Prometheus has no target of the job {APPLICATION_JOB}: add it to scrape_configs "
                "as in collector/prometheus/prometheus.yml"
            )
        for target in targets + _targets(client, HEALTH_JOB):
            _look_at_target(target, source.now, finding)
        if source.fault:
            finding.faults.append(source.fault)
        else:
            _look_who_sends(client, source, targets, site, finding)
        if not finding.faults:
            site.say("waiting for three points in a row")
            until(lambda: _three_points(client, source), _PATIENCE_SECONDS)
            source.now = clock(client)
            _look_at_scrapes(client, source, len(targets), finding)
            _look_at_points(source, finding)
    yield finding.look(f"scraped every {INTERVAL_SECONDS:.0f} s: {', '.join(finding.evidence[:2])}")


def _targets(client: Prometheus, *jobs: str) -> list[dict[str, Any]]:
    return [target for target in client.targets() if target["labels"].get("job") in jobs]


def _all_scraped(client: Prometheus) -> bool:
    """Targets are found some seconds after a start, and scraped within one interval after that."""
    jobs = [job["job_name"] for job in client.config().get("scrape_configs") or []]
    if APPLICATION_JOB not in jobs:
        return True
    ours = _targets(client, APPLICATION_JOB, HEALTH_JOB, *GATEWAY_JOBS)
    found = any(target["labels"].get("job") == APPLICATION_JOB for target in ours)
    return found and all(target["health"] != "unknown" for target in ours)


def _look_at_target(target: dict[str, Any], now: float, finding: Finding) -> None:
    url, interval = target["scrapeUrl"], target.get("scrapeInterval", "not told")
    age = now - unix(target["lastScrape"])
    finding.evidence.append(f"{url} is {target['health']}, interval {interval}")
    if target["health"] != "up":
        said = target["lastError"] or "not scraped yet"
        finding.faults.append(
            f"{url} is {target['health']} ({said}): is the application up, the address right, "
            "and its token known to Prometheus?"
        )
    elif target["lastError"]:
        finding.faults.append(f"{url}: {target['lastError']}")
    if interval != f"{INTERVAL_SECONDS:.0f}s":
        finding.faults.append(
            f"{url} is scraped every {interval}, expected {INTERVAL_SECONDS:.0f}s: set "
            "scrape_interval and reload Prometheus"
        )
    elif target["health"] == "up" and age > 3 * INTERVAL_SECONDS:
        finding.faults.append(f"{url} was last scraped {age:.0f} s ago: is Prometheus overloaded?")


def _look_at_setting(client: Prometheus, finding: Finding) -> None:
    """What it was told to do: after a reload its targets lag behind for some seconds."""
    config, wanted = client.config(), f"{INTERVAL_SECONDS:.0f}s"
    for job in config.get("scrape_configs") or []:
        set_to = job.get("scrape_interval") or config["global"]["scrape_interval"]
        if job["job_name"] == APPLICATION_JOB and set_to != wanted:
            finding.faults.append(
                f"scrape_interval of the job {APPLICATION_JOB} is {set_to}, expected {wanted}: set "
                "it and reload Prometheus"
            )


def _three_points(client: Prometheus, source: Source) -> bool:
    source.now = clock(client)
    ups = client.query(_ups())
    series = source.points(UPTIME, _WATCHED_SECONDS)
    return bool(ups) and bool(series) and all(spacing(one, source.now) for one in [*ups, *series])


def _ups() -> str:
    return f"up{{job={quoted(APPLICATION_JOB)}}}[{_WATCHED_SECONDS:.0f}s]"


def _look_at_scrapes(client: Prometheus, source: Source, targets: int, finding: Finding) -> None:
    """What happened, whatever the configuration says."""
    live = 0
    for sample in client.query(_ups()):
        where = sample.labels.get("instance", "")
        found = spacing(sample, source.now)
        if found is None or found.age > 3 * INTERVAL_SECONDS:
            finding.evidence.append(f"up of {where}: no longer scraped")
            continue
        live += 1
        finding.evidence.append(
            f"up of {where}: {found.points} points, {found.typical:.1f} s apart"
        )
        low, high = 1 - GAP_TOLERANCE, 1 + GAP_TOLERANCE
        if not low * INTERVAL_SECONDS <= found.typical <= high * INTERVAL_SECONDS:
            finding.faults.append(
                f"{where} was scraped every {found.typical:.0f} s in the last minutes, expected "
                f"{INTERVAL_SECONDS:.0f}: overloaded, or changed just now? Look again in 3 minutes"
            )
        if down := sum(value == 0 for _, value in sample.points):
            finding.faults.append(
                f"{where} was down in {down} of the last {found.points} scrapes: see the "
                "application's log, and look again in 3 minutes"
            )
    if live < targets:
        finding.faults.append(f"{live} of {targets} targets have three scrapes in 3 minutes")


def _look_at_points(source: Source, finding: Finding) -> None:
    """The points of the contract: how often they come."""
    fresh = 0
    for sample in source.points(UPTIME, _WATCHED_SECONDS):
        where, found = sample.labels.get("instance", ""), spacing(sample, source.now)
        if found is None or found.age > FRESH_SECONDS:
            finding.evidence.append(f"{UPTIME} of {where} has ended, or just begun")
            continue
        fresh += 1
        finding.evidence.append(
            f"{UPTIME} of {where}: {found.points} points, {found.typical:.1f} s apart, "
            f"the newest {found.age:.0f} s old"
        )
        if found.typical > (1 + GAP_TOLERANCE) * INTERVAL_SECONDS:
            finding.faults.append(
                f"points of {where} come every {found.typical:.0f} s, expected at most "
                f"{INTERVAL_SECONDS:.0f}: set OTEL_METRIC_EXPORT_INTERVAL to 15000"
            )
        if stands_still(sample):
            finding.faults.append(
                f"{UPTIME} of {where} does not grow: somebody repeats old points, while the "
                "application is dead, or its exporter is"
            )
        # One lost point is nothing; a minute without any is an outage.
        if found.widest > FRESH_SECONDS:
            finding.faults.append(
                f"no point of {where} came for {found.widest:.0f} s within the last 3 minutes: see "
                "the gateway's log, and look again in 3 minutes"
            )
    if not fresh:
        finding.faults.append(f"no series of {UPTIME} has three points of the last minutes")


def stands_still(sample: Sample) -> bool:
    """A second takes a second, unless it was started anew in between."""
    (began, first), (ended, last) = sample.points[0], sample.points[-1]
    return first <= last < first + (ended - began) / 2


def _look_who_sends(
    client: Prometheus, source: Source, targets: list[dict[str, Any]], site: Site, finding: Finding
) -> None:
    """Whether the metrics are the targets', scraped there or pushed, and not both."""
    scraped = {target["labels"].get("instance") for target in targets}
    series = source.points(UPTIME, _WATCHED_SECONDS)
    pushed = [one for one in series if one.labels.get("instance") not in scraped]
    if pushed or _targets(client, *GATEWAY_JOBS):
        _look_at_gateway(client, finding)
    if not pushed:
        missing = scraped - {one.labels.get("instance") for one in series}
        for where in sorted(filter(None, missing)):
            finding.faults.append(
                f"{where} gives no metrics of the contract, and nobody pushes any: is it the "
                "application, and is the gateway up, if there is one?"
            )
        return
    # Who sent earlier, and sends no more, is no second one.
    fresh = [one for one in series if source.now - one.points[-1][0] <= FRESH_SECONDS]
    if len({one.labels.get("instance") in scraped for one in fresh}) > 1:
        finding.faults.append(
            "the same metrics are scraped and pushed, and count twice: drop the scraped ones, as "
            "metric_relabel_configs of collector/prometheus/prometheus.yml does"
        )
    sending = {one.labels.get("instance") for one in fresh} - scraped
    if len(sending) < len(targets):
        finding.faults.append(
            f"{len(sending)} instances push metrics of {source.job}, and {len(targets)} are scraped: "
            "do all of them send to the gateway?"
        )
    for target in targets:
        if target["health"] == "up":
            _look_who_answers(target["scrapeUrl"], pushed, source, site, finding)


def _look_at_gateway(client: Prometheus, finding: Finding) -> None:
    gateways = _targets(client, *GATEWAY_JOBS)
    if not any(target["labels"].get("job") == GATEWAY_JOBS[0] for target in gateways):
        finding.faults.append(
            f"metrics are pushed, and no target of the job {GATEWAY_JOBS[0]} tells how the gateway "
            "is: add it as in collector/prometheus/prometheus.yml"
        )
    for target in gateways:
        finding.evidence.append(f"{target['scrapeUrl']} is {target['health']}")
        if target["health"] != "up":
            finding.faults.append(
                f"the gateway's {target['scrapeUrl']} is {target['health']} "
                f"({target['lastError'] or 'not scraped yet'}): is the gateway up?"
            )


def _look_who_answers(
    url: str, pushed: list[Sample], source: Source, site: Site, finding: Finding
) -> None:
    """Its samples are dropped, so only its own answer tells whether it is who pushes."""
    try:
        found = exposed(url, site.environ.get(TOKEN, ""))
    except ApiError as error:
        finding.doubts.append(
            f"is {url} the application {source.job}? It could not be asked from here ({error}; "
            f"where it wants a token, that is read from {TOKEN})"
        )
        return
    now = clock(source.client)
    differences = [
        abs(one.value - (sample.value + now - sample.points[-1][0]))
        for one in found.get(UPTIME, ())
        for sample in pushed
    ]
    if not differences:
        finding.faults.append(
            f"{url} is not the application {source.job}: it shows no {UPTIME}; set the target"
        )
    elif min(differences) > _SAME_PROCESS_SECONDS:
        finding.faults.append(
            f"{url} was started {min(differences):.0f} s apart from who pushes as {source.job}: it "
            "is another application; set the target"
        )
    else:
        finding.evidence.append(f"{url} tells the same {UPTIME} as is pushed by {source.job}")


def application(site: Site, client: Prometheus) -> Exposition | None:
    """What the application itself shows at the address that is scraped; None if it cannot be asked."""
    for target in _targets(client, APPLICATION_JOB):
        try:
            return exposed(target["scrapeUrl"], site.environ.get(TOKEN, ""))
        except ApiError:
            continue
    return None


def unix(moment: str) -> float:
    """Unix seconds of a time as Go writes it, of whose fraction whole seconds are kept; 0 for none."""
    zone = "+00:00" if moment.endswith("Z") else moment[-6:]
    found = datetime.fromisoformat(f"{moment[:19]}{zone}")
    return found.timestamp() if found.year > 1 else 0.0
