"""Prometheus: whether it answers, whom it scrapes, which rules it has, and what it refuses."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.doctor.asking import ask
from otel_accubooks.doctor.destinations import scraped_port
from otel_accubooks.doctor.environment import NOT_SENT
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.gateway import GATEWAY_JOB
from otel_accubooks.doctor.scene import Clock, Scene
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.promql import APPLICATION_JOB

UNREACHABLE = Kind(
    "prometheus-unreachable", "wrong",
    "Prometheus does not answer: nobody can say whether metrics arrive.",
    "Prometheus at PROMETHEUS_URL, or Datadog with DD_API_KEY and DD_APP_KEY",
    "start it, or name its address: otel-accubooks doctor --prometheus http://host:9090",
)  # fmt: skip
DOWN = Kind(
    "target-down", "wrong",
    "Prometheus cannot scrape a target.",
    "every target up",
    "do what its error says: the address in targets/*.yml, the token, the server itself",
)  # fmt: skip
TOKEN = Kind(
    "scrape-without-token", "wrong",
    "The application refuses Prometheus, which shows no token or an old one.",
    "authorization: {credentials_file: ...} in the job, with the OTEL_ACCUBOOKS_MONITORING_TOKEN",
    "add it to the job in prometheus.yml, and reload Prometheus",
)  # fmt: skip
SCRAPE_PATH = Kind(
    "scrape-path", "wrong",
    "The address that Prometheus scrapes has no metrics.",
    "metrics_path /api/monitoring/metrics, on an application under the launcher",
    "correct metrics_path (OTEL_ACCUBOOKS_MONITORING_PREFIX may have moved it, or switched it off)",
)  # fmt: skip
UNHEALTHY = Kind(
    "application-unhealthy", "wrong",
    "The application says that a database or a queue does not answer.",
    "200 of /api/monitoring/health",
    "ask /api/monitoring/health/detailed which it is, and mend that",
)  # fmt: skip
NO_TARGET = Kind(
    "no-application-target", "suspicious",
    "Prometheus scrapes no application: nothing tells that it is unreachable.",
    f"a job {APPLICATION_JOB} with the application's address, as in collector/prometheus",
    "write the application's host:port into targets/app.yml",
)  # fmt: skip
NO_RULES = Kind(
    "rules-not-loaded", "wrong",
    "Prometheus has not loaded the alerts.",
    "the 32 alerts of `otel-accubooks render --backend prometheus`",
    "otel-accubooks render --backend prometheus --out <its folder>, name the file in rule_files, "
    "and reload Prometheus",
)  # fmt: skip
RULE_FAILS = Kind(
    "rule-fails", "wrong",
    "Prometheus cannot evaluate an alert.",
    "every rule healthy",
    "do what its error says; often a metric is there twice (see pushed-and-scraped)",
)  # fmt: skip
NOT_EVALUATED = Kind(
    "rules-not-evaluated", "wrong",
    "Prometheus has stopped evaluating its rules.",
    "an evaluation each interval",
    "see its log and its load; restart it",
)  # fmt: skip
NOBODY_TOLD = Kind(
    "no-alertmanager", "note",
    "Prometheus knows of no Alertmanager: alerts fire, and nobody is told.",
    "an Alertmanager in targets/alertmanager.yml",
    "write its host:port into targets/alertmanager.yml",
)  # fmt: skip
ALERTMANAGER = Kind(
    "alertmanager-unreachable", "wrong",
    "An Alertmanager does not answer: alerts fire, and nobody is told.",
    "an Alertmanager at the address that Prometheus was given",
    "start it, or correct its address in targets/alertmanager.yml",
)  # fmt: skip
NOTIFICATIONS = Kind(
    "notifications-fail", "wrong",
    "Prometheus cannot tell its Alertmanager of alerts.",
    "no errors",
    "start the Alertmanager, or correct its address in targets/alertmanager.yml",
)  # fmt: skip
RECEIVER_OFF = Kind(
    "prometheus-takes-no-push", "wrong",
    "Prometheus answers what is pushed to it with 404: its receiver is off.",
    "--web.enable-otlp-receiver (Prometheus 3), or --web.enable-remote-write-receiver",
    "start Prometheus with that flag",
)  # fmt: skip
REFUSED = Kind(
    "samples-refused", "wrong",
    "Prometheus refuses samples: too old, out of order, delta, or twice.",
    "storage.tsdb.out_of_order_time_window, clocks that agree, cumulative temporality, one sender",
    "set out_of_order_time_window: 24h as in collector/prometheus/prometheus.yml; read its log",
)  # fmt: skip
NO_WINDOW = Kind(
    "no-out-of-order-window", "suspicious",
    "Prometheus refuses what the gateway had to keep during an outage.",
    "storage: {tsdb: {out_of_order_time_window: 24h}}",
    "add it to prometheus.yml as in collector/prometheus, and reload Prometheus",
)  # fmt: skip

_STARTING_SECONDS = 12.0
_YOUNG_SECONDS = 60.0
_RECEIVERS = ("web.enable-otlp-receiver", "web.enable-remote-write-receiver")
_COUNTED = re.compile(r"^(prometheus_[a-z_]+)(?:\{([^}]*)\})?\s+(\S+)$", re.MULTILINE)
_REFUSING = (
    "prometheus_target_scrapes_sample_out_of_order_total",
    "prometheus_target_scrapes_sample_duplicate_timestamp_total",
    "prometheus_target_scrapes_sample_out_of_bounds_total",
    "prometheus_tsdb_out_of_bound_samples_total",
    "prometheus_tsdb_too_old_samples_total",
    "prometheus_tsdb_out_of_order_samples_total",
)
_PUSHES = ("/api/v1/otlp/v1/metrics", "/api/v1/write")


def reach(scene: Scene) -> Iterator[Finding]:
    """Whether it answers; from here on the scene has it."""
    address = scene.servers.prometheus
    if not address:
        return
    answer = ask("GET", f"{address}/api/v1/query?query=time()")
    if answer.status == 200 and '"resultType"' in answer.text:
        scene.prometheus = Prometheus(address)
        scene.looked.append(f"Prometheus {address}")
        apart = _its_time(answer.text)
        if apart is not None:
            scene.clocks.append(Clock(f"Prometheus at {address}", apart))
        return
    scene.looked.append(f"Prometheus {address} (does not answer)")
    said = answer.said or f"answers {answer.status}, not as Prometheus does"
    if not scene.environ.get("DD_API_KEY"):
        yield UNREACHABLE.found(f"{address}: {said}", address=address)


def _its_time(text: str) -> float | None:
    found = re.search(r'"result":\[[\d.]+,"([\d.]+)"\]', text)
    if not found:
        return None
    apart = float(found[1]) - time.time()
    return apart if abs(apart) > 1 else 0.0


def check(scene: Scene) -> Iterator[Finding]:
    """Targets, rules, configuration."""
    prometheus = scene.prometheus
    if prometheus is None:
        return
    yield from _targets(_found_targets(prometheus))
    yield from _rules(prometheus)
    config, flags = prometheus.config(), prometheus.flags()
    if scene.destinations and any(flags.get(name) == "true" for name in _RECEIVERS):
        window = ((config.get("storage") or {}).get("tsdb") or {}).get("out_of_order_time_window")
        if not window or str(window) == "0s":
            yield NO_WINDOW.found("out_of_order_time_window is not set", address=prometheus.address)
    yield from _alertmanagers(scene, prometheus)
    for one in scene.unsent:
        page = scraped_port(one.env or {})
        if not _scrapes(config) and (page is None or page not in _ports_of(prometheus.targets())):
            name = (one.env or {}).get("OTEL_METRICS_EXPORTER", "")
            yield NOT_SENT.found(
                f"OTEL_METRICS_EXPORTER={name}, and no job of Prometheus keeps what it scrapes of an "
                f"application{f' or of port {page}' if page else ''}",
                **one.where(),
            )


def _ports_of(targets: list[dict[str, Any]]) -> set[int | None]:
    return {urlsplit(target.get("scrapeUrl", "")).port for target in targets}


def _found_targets(prometheus: Prometheus) -> list[dict[str, Any]]:
    """The targets; one that has just been started is given the time to find its own."""
    give_up = time.monotonic() + _STARTING_SECONDS
    while True:
        targets = prometheus.targets()
        settled = targets and all(target.get("health") != "unknown" for target in targets)
        started = _moment(prometheus.runtime().get("startTime", ""))
        young = started is not None and time.time() - started < _YOUNG_SECONDS
        if settled or not young or time.monotonic() > give_up:
            return targets
        time.sleep(0.5)


def _alertmanagers(scene: Scene, prometheus: Prometheus) -> Iterator[Finding]:
    known = [url.partition("/api/")[0] for url in prometheus.alertmanagers()]
    if not known:
        yield NOBODY_TOLD.found("no Alertmanager is known", address=prometheus.address)
    named = scene.servers.alertmanager
    if named != Servers().alertmanager:
        known += [url for url in named if url not in known]
    for url in known:
        answer = ask("GET", f"{url}/api/v2/status")
        scene.looked.append(f"Alertmanager {url} ({answer.status or answer.said})")
        if answer.status != 200:
            said = answer.said or f"answers {answer.status}"
            yield ALERTMANAGER.found(f"{url}: {said}", address=url)


def unsent(scene: Scene) -> Iterator[Finding]:
    """Applications that send nothing, where no Prometheus could be asked whether it scrapes them."""
    for one in scene.unsent if scene.prometheus is None else ():
        name = (one.env or {}).get("OTEL_METRICS_EXPORTER", "")
        if "prometheus" in name:  # somebody scrapes it, who cannot be asked
            continue
        yield NOT_SENT.found(f"OTEL_METRICS_EXPORTER={name}", **one.where())


def _scrapes(config: dict[str, Any]) -> bool:
    """True where a job keeps what it scrapes of an application."""
    for job in config.get("scrape_configs") or ():
        path = job.get("metrics_path", "/metrics")
        drops = any(
            rule.get("action") == "drop" and rule.get("regex") in (".*", ".+")
            for rule in job.get("metric_relabel_configs") or ()
        )
        if path.endswith(("/monitoring/metrics", "/api/metrics")) and not drops:
            return True
    return False


def _targets(targets: list[dict[str, Any]]) -> Iterator[Finding]:
    paths = [urlsplit(target.get("scrapeUrl", "")).path for target in targets]
    if not any("/monitoring/" in p or p.endswith("/api/metrics") for p in paths) and not any(
        target["labels"].get("job") == APPLICATION_JOB for target in targets
    ):
        yield NO_TARGET.found("no target has the path of a monitoring endpoint")
    for target in targets:
        if target.get("health") != "down":
            continue
        url, error = target.get("scrapeUrl", ""), target.get("lastError", "")
        job = target["labels"].get("job", "")
        kind = DOWN
        if re.search(r"\b(401|403)\b", error) and "/monitoring/" in url:
            kind = TOKEN
        elif "503" in error and url.endswith("/health"):
            kind = UNHEALTHY
        elif re.search(r"\b404\b|unsupported Content-Type|invalid|parse", error):
            kind = SCRAPE_PATH
        yield kind.found(f"{url} of the job {job}: {error}", address=url)


def _rules(prometheus: Prometheus) -> Iterator[Finding]:
    groups = prometheus.rules()
    loaded = {rule["name"] for group in groups for rule in group["rules"]}
    wanted = [alert.name for alert in ALERTS]
    if missing := [name for name in wanted if name not in loaded]:
        named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        yield NO_RULES.found(
            f"{len(missing)} of {len(wanted)} alerts are not loaded: {named}",
            address=prometheus.address,
        )
    for group in groups:
        for rule in group["rules"]:
            if rule.get("health") == "err":
                error = rule.get("lastError", "")
                yield RULE_FAILS.found(f"{rule['name']}: {error}", address=prometheus.address)
        yield from _stopped(prometheus, group)


def _stopped(prometheus: Prometheus, group: dict[str, Any]) -> Iterator[Finding]:
    last = _moment(str(group.get("lastEvaluation", "")))
    if last is None:
        return
    there = prometheus.query("vector(time())")[0].value
    interval = float(group.get("interval") or 15)
    if last > 0 and there - last > max(120.0, 5 * interval):
        yield NOT_EVALUATED.found(
            f"the group {group['name']} was evaluated last {there - last:.0f} s ago",
            address=prometheus.address,
        )


def _moment(text: str) -> float | None:
    """Unix seconds of a time as Prometheus writes it, with any number of decimals."""
    text = re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00")
    text = re.sub(r"\.(\d{1,5})(?=[+-])", lambda found: f".{found[1]:0<6}", text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def gateway_pages(scene: Scene) -> list[str]:
    """Addresses at which the gateways tell their own metrics, as Prometheus knows them."""
    if scene.prometheus is None:
        return []
    try:
        targets = scene.prometheus.targets()
    except ApiError:
        return []
    return [t["scrapeUrl"] for t in targets if t["labels"].get("job") == GATEWAY_JOB]


class OwnMetrics:
    """What Prometheus says of itself, at the start and at the end of an examination."""

    def __init__(self, scene: Scene) -> None:
        self._address = scene.prometheus.address if scene.prometheus else ""
        self._before = self._read()

    def _read(self) -> dict[str, float]:
        if not self._address:
            return {}
        answer = ask("GET", f"{self._address}/metrics")
        found: dict[str, float] = {}
        for name, labels, value in _COUNTED.findall(answer.text):
            handler = re.search(r'handler="([^"]*)"', labels)
            code = re.search(r'code="(\d+)"', labels)
            key = name
            if name == "prometheus_http_requests_total":
                if not handler or not code or handler[1] not in _PUSHES:
                    continue
                key = f"{code[1]} {handler[1]}"
            found[key] = found.get(key, 0.0) + float(value)
        return found

    def check(self) -> Iterator[Finding]:
        """What was refused in between."""
        now = self._read()
        grown = {key: value - self._before.get(key, 0.0) for key, value in now.items()}
        where = {"address": self._address}
        for key, by in sorted(grown.items()):
            if by <= 0:
                continue
            if key in _REFUSING:
                yield REFUSED.found(f"{key} grew by {by:.0f} meanwhile", **where)
            elif key.startswith("404 "):
                yield RECEIVER_OFF.found(f"a push to {key[4:]} was answered 404", **where)
            elif key.startswith("400 "):
                yield REFUSED.found(f"{by:.0f} pushes to {key[4:]} were answered 400", **where)
            elif key == "prometheus_notifications_errors_total":
                yield NOTIFICATIONS.found(f"{by:.0f} notifications failed meanwhile", **where)
