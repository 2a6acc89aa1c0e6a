"""Whether what is sent arrives: a marked metric of our own, and the application's counts."""

from __future__ import annotations

import platform
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from otel_accubooks.contract import metrics as m
from otel_accubooks.doctor.destinations import Destination, destination_of, scraped_port
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.processes import ports
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.doctor.service import Service
from otel_accubooks.export.exporters import ExporterError, exporter_names
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.servers.prometheus import Prometheus

PROBE_LOST = Kind(
    "probe-lost", "wrong",
    "The gateway took a marked metric with 200, and the backend has it not.",
    "the metric otel_accubooks_doctor_probe in the backend within seconds",
    "see the gateway's log and its backend file: the address and key of the backend, and whether "
    "this is the Prometheus that it feeds",
)  # fmt: skip
PROBE_REFUSED = Kind(
    "probe-not-sent", "wrong",
    "A marked metric could not be sent, though the gateway answers.",
    "200 to an export with one metric",
    "see the gateway's log",
)  # fmt: skip
MISSING = Kind(
    "series-missing", "wrong",
    "Nothing of a service is in the backend.",
    "its metrics, under its service.instance.id",
    "see that it sends where this backend is fed from, and what the exporter and the gateway say",
)  # fmt: skip
STALE = Kind(
    "series-stale", "wrong",
    "The metrics of a service have stopped arriving in the backend.",
    "a value each OTEL_METRIC_EXPORT_INTERVAL",
    "see what the exporter and the gateway say, and whether clocks agree",
)  # fmt: skip
BEHIND = Kind(
    "counts-behind", "wrong",
    "The backend has less than was counted.",
    "the same number, one interval later",
    "see whether the gateway's queue grows, and whether another sender overwrites the series",
)  # fmt: skip
RENAMED = Kind(
    "metrics-renamed", "wrong",
    "The backend has the metrics under other names: no alert and no dashboard finds them.",
    "translation_strategy: UnderscoreEscapingWithoutSuffixes",
    "set otlp.translation_strategy: UnderscoreEscapingWithoutSuffixes in prometheus.yml (or in the "
    "gateway's exporter), and reload it",
)  # fmt: skip
DROPPED = Kind(
    "metrics-dropped", "wrong",
    "Some metrics of a service arrive, and others do not.",
    "every metric that is counted",
    "look for a filter between: in the gateway's files, in metric_relabel_configs",
)  # fmt: skip
TWICE = Kind(
    "pushed-and-scraped", "wrong",
    "The same metrics are pushed to Prometheus and scraped by it: every sum is double.",
    "metric_relabel_configs that drop what is scraped, where metrics are pushed",
    "drop the samples as in collector/prometheus/prometheus.yml, or set OTEL_METRICS_EXPORTER=none",
)  # fmt: skip
DELTA = Kind(
    "delta-to-prometheus", "wrong",
    "The application sends deltas, and its backend is a Prometheus.",
    "cumulative temporality; delta is for Datadog alone",
    "unset OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, and restart the application",
)  # fmt: skip
OVERFLOW = Kind(
    "overflow-in-backend", "wrong",
    "The backend has an overflow series: a metric has, or had, too many label values.",
    "few label values",
    "find the label that grows, e.g. by "
    f"count by (route) ({m.HTTP_REQUESTS_TOTAL.name}); then restart the application",
)  # fmt: skip

PROBE = "otel_accubooks_doctor_probe"
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 15.0
_GAUGES = tuple(
    one.name
    for one in (m.SYSTEM_UPTIME_SECONDS, m.SYSTEM_CPU_USAGE_PERCENT, m.PROCESS_MEMORY_USAGE_BYTES)
)
_SAME = 1e-6


@dataclass
class _Followed:
    """A service whose counts are looked for under `selector`."""

    service: Service
    selector: str
    counted: dict[str, float]
    at: float
    state: str = "missing"
    said: str = ""
    pushed: bool = True
    missing: list[str] = field(default_factory=list)


def check(scene: Scene) -> Iterator[Finding]:
    """Sends one probe through each gateway, and waits until it and the counts are there."""
    yield from _deltas(scene)
    probes: dict[int, Destination] = {}
    for number, to in enumerate(scene.gateways):
        if to.grpc or (scene.prometheus is None and not scene.datadog):
            continue
        value = random.randrange(1, 2**40)  # noqa: S311 - a mark, not a secret
        if said := send_probe(to, value, number):
            yield PROBE_REFUSED.found(f"{to.shown}: {said}", address=to.shown)
        else:
            probes[value] = to
    scene.probes = set(probes)
    if scene.prometheus is not None:
        yield from _in_prometheus(scene, scene.prometheus, probes)


def _in_prometheus(
    scene: Scene, prometheus: Prometheus, probes: dict[int, Destination]
) -> Iterator[Finding]:
    followed = list(_followed(scene))
    seconds = max([scene.wait_seconds, *(1.25 * f.service.interval + 2 for f in followed)])
    give_up = time.monotonic() + seconds
    while _waits(prometheus, followed, probes, scene.arrived) and time.monotonic() < give_up:
        time.sleep(_POLL_SECONDS)
    for value, to in probes.items():
        # Where Datadog is asked too, it is enough for one of the two to have it.
        if value not in scene.arrived and not scene.datadog:
            yield PROBE_LOST.found(
                f"{to.base} took {PROBE}, and Prometheus at {prometheus.address} has it not after "
                f"{seconds:.0f} s",
                address=to.base,
            )
    for one in followed:
        yield from _outcome(prometheus, one)
    told = [f"{PROBE} arrived"] if scene.arrived else []
    told += [f"{one.service.title}: {one.said}" for one in followed if one.state == "arrived"]
    if told:
        scene.looked.append(f"in Prometheus: {'; '.join(told)}")
    yield from _twice(prometheus)
    yield from _overflowing(scene, prometheus)


def _overflowing(scene: Scene, prometheus: Prometheus) -> Iterator[Finding]:
    """One for each service; of others' services only where nobody chose some."""
    told = {f.where.get("service") for f in scene.findings if f.kind.id == "series-limit"}
    known = {one.job: one.title for one in scene.services}
    chosen = bool(scene.pids or scene.servers.service)
    found: dict[str, set[str]] = {}
    for sample in prometheus.query('count by (__name__, job) ({otel_metric_overflow="true"})'):
        job, name = sample.labels.get("job", ""), sample.labels.get("__name__", "")
        if known.get(job, job) not in told and (job in known or not chosen):
            name = re.sub("_(bucket|count|sum)$", "", name)
            found.setdefault(job, set()).add(name)
    for job, names in sorted(found.items()):
        yield OVERFLOW.found(f"{', '.join(sorted(names))} of {job} has an overflow series")


def _waits(
    prometheus: Prometheus,
    followed: list[_Followed],
    probes: dict[int, Destination],
    arrived: set[int],
) -> bool:
    """Looks once; True while something is still on its way."""
    for one in followed:
        if one.state != "arrived":
            _look(prometheus, one)
    if not probes.keys() <= arrived:
        # Whoever calls the doctor at the same time sends the same series: not the last value alone.
        seen = prometheus.query(f"{PROBE}[5m]")
        arrived |= {int(value) for sample in seen for _, value in sample.points} & probes.keys()
    return not (all(one.state == "arrived" for one in followed) and probes.keys() <= arrived)


def send_probe(to: Destination, value: int, number: int) -> str:
    """Sends the marked metric; empty once it was acknowledged, else what went wrong."""
    import logging

    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import (
        Gauge,
        Metric,
        MetricExportResult,
        MetricsData,
        NumberDataPoint,
        ResourceMetrics,
        ScopeMetrics,
    )
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    # One second, however often the doctor is called: a new value of the same series, no new series.
    instance = f"{platform.node()}-{number}"
    resource = Resource({"service.name": "otel-accubooks-doctor", "service.instance.id": instance})
    point = NumberDataPoint({}, 0, time.time_ns(), value)
    metric = Metric(PROBE, "Sent by otel-accubooks doctor", "", Gauge([point]))
    scope = ScopeMetrics(InstrumentationScope("otel_accubooks.doctor"), [metric], "")
    exporter = OTLPMetricExporter(
        endpoint=to.url,
        headers=dict(to.headers) or {"x-otel-accubooks": "doctor"},
        certificate_file=to.certificate or None,
        timeout=5,
    )
    try:
        result = exporter.export(MetricsData([ResourceMetrics(resource, [scope], "")]))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        exporter.shutdown()
    return "" if result is MetricExportResult.SUCCESS else "it was not acknowledged"


def _deltas(scene: Scene) -> Iterator[Finding]:
    for to in scene.destinations:
        name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
        direct = "/api/v1/otlp" in to.url
        if to.delta and (direct or scene.prometheus is not None):
            where = to.shown if direct or scene.prometheus is None else scene.prometheus.address
            yield DELTA.found(
                f"{to.who} has {name}={to.env.get(name)}, and the backend is Prometheus at {where}",
                address=to.shown,
            )


def _followed(scene: Scene) -> Iterator[_Followed]:
    from otel_accubooks.export.resource import instance_id

    broken = {
        f.where.get("service") for f in scene.findings
        if f.kind.id in ("exporter-not-running", "exporter-hangs", "not-arriving-at-gateway",
                         "token-refused", "gateway-unreachable", "exporter-problem")
    }  # fmt: skip
    refusing = {to.key for to in scene.destinations} - {to.key for to in scene.gateways}
    for service in scene.services:
        if not any(one.folders for one in service.members) or service.title in broken:
            continue
        to = destination_of(service.env, service.title)
        if to is not None and to.key in refusing:
            continue  # the reason is told
        try:
            pushes = any(name.startswith("otlp") for name in exporter_names(service.env))
        except ExporterError:
            continue
        given = service_identity(service.env).get("service.instance.id")
        if pushes and service.elsewhere and not given:
            selector = f'job="{service.job}"'
        elif pushes:
            origin = service.reader.origin()
            selector = f'instance="{given or instance_id(Path(service.named), origin)}"'
        else:
            mine = sorted({port for one in service.members for _, port in ports(one.pid)})
            page = scraped_port(service.env)
            mine += [page] if page else []
            if not mine or scene.has("metrics-not-sent"):
                continue
            selector = f'instance=~".*:({"|".join(map(str, mine))})",job!=""'
        yield _Followed(service, selector, _counted(service), time.time(), pushed=pushes)


def _counted(service: Service) -> dict[str, float]:
    """What a backend must have, by the name that Prometheus has for it."""
    found: dict[str, float] = {}
    for point in service.totals.points.values():
        metric = point.metric
        if metric.group in ("unsent", "system") or metric.type == "gauge":
            continue
        histogram = metric.type == "histogram"
        name = f"{metric.name}_count" if histogram else metric.name
        found[name] = found.get(name, 0.0) + (sum(point.counts) if histogram else point.value)
    return {name: value for name, value in found.items() if value > 0}


def _look(prometheus: Prometheus, one: _Followed) -> None:
    newest = " or ".join(f"timestamp({name}{{{one.selector}}})" for name in _GAUGES)
    ages = prometheus.query(f"time() - max({newest})")
    if not ages:
        one.state = "missing"
        one.said = "nothing of it is there"
        return
    age = ages[0].value
    names = "|".join(sorted(one.counted))
    there = {
        s.labels.get("__name__", ""): s.value
        for s in prometheus.query(f'sum by (__name__) ({{__name__=~"{names}",{one.selector}}})')
    } if one.counted else {}  # fmt: skip
    one.missing = sorted(one.counted.keys() - there.keys())
    less = {
        name: (there[name], wanted)
        for name, wanted in one.counted.items()
        if name in there and there[name] < wanted - _SAME * max(1.0, wanted)
    }
    sent_since = time.time() - age > one.at
    if age > one.service.interval + _GRACE_SECONDS:
        one.state, one.said = "stale", f"the last value is {age:.0f} s old"
    elif one.missing:
        one.state, one.said = "incomplete", f"{', '.join(one.missing[:5])} not there"
    elif less and sent_since:
        name, (has, wanted) = next(iter(less.items()))
        one.state, one.said = "behind", f"{name}: {wanted:g} counted, {has:g} there"
    else:
        number = f"{sum(one.counted.values()):g} counted" if one.counted else "nothing counted yet"
        one.state, one.said = "arrived", f"{number}, last sent {age:.0f} s ago"


def _outcome(prometheus: Prometheus, one: _Followed) -> Iterator[Finding]:
    where = {**one.service.where(), "address": prometheus.address}
    title = one.service.title
    if one.state == "missing" and not one.pushed:
        name = one.service.env.get("OTEL_METRICS_EXPORTER")
        yield MISSING.found(
            f"{title} pushes nothing (OTEL_METRICS_EXPORTER={name}), and Prometheus at "
            f"{prometheus.address} keeps nothing that it scrapes of it",
            fix="unset OTEL_METRICS_EXPORTER and restart the application, or let a job of Prometheus "
            "scrape its host:port, without dropping what it finds",
            **where,
        )
    elif one.state == "missing":
        others = prometheus.query(f'count({_GAUGES[0]}{{job="{one.service.job}"}})')
        also = " (there is something of another instance)" if others else ""
        yield MISSING.found(f"{title} is not in Prometheus at {prometheus.address}{also}", **where)
    elif one.state == "stale":
        yield STALE.found(f"{title}: {one.said}", **where)
    elif one.state == "behind":
        yield BEHIND.found(f"{title}: {one.said}", **where)
    elif one.state == "incomplete":
        names = {
            s.labels.get("__name__", "")
            for s in prometheus.query(f"count by (__name__) ({{{one.selector}}})")
        }
        renamed = {}
        for name in one.missing:
            base = name.removesuffix("_count").removesuffix("_total")
            other = next((n for n in sorted(names) if n.startswith(base) and n != name), "")
            if other:
                renamed[name] = other
        if renamed:
            name, other = next(iter(renamed.items()))
            yield RENAMED.found(f"{title}: {name} is called {other} there", **where)
        lost = [name for name in one.missing if name not in renamed]
        if lost:
            yield DROPPED.found(f"{title}: {', '.join(lost[:8])} not there", **where)


def _twice(prometheus: Prometheus) -> Iterator[Finding]:
    scraped = {
        (target["labels"].get("job"), target["labels"].get("instance"))
        for target in prometheus.targets()
    }
    by_scrape: list[tuple[str | None, str | None]] = []
    by_push: list[tuple[str | None, str | None]] = []
    for sample in prometheus.query(f"time() - timestamp({m.SYSTEM_UPTIME_SECONDS.name}) < 60"):
        key = (sample.labels.get("job"), sample.labels.get("instance"))
        (by_scrape if key in scraped else by_push).append(key)
    if by_scrape and by_push:
        job, instance = by_scrape[0]
        yield TWICE.found(
            f"the job {job} keeps what it scrapes of {instance}, and {by_push[0][0]} is pushed too",
            address=prometheus.address,
        )
