"""Every metric of the contract in Prometheus: there, fresh, with its labels, buckets and type."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, get_args

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.checklist import LookName
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.contract.query import INSTANCE
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.servers.exposition import Exposition
from otel_accubooks.servers.prometheus import Prometheus, Sample
from otel_accubooks.vendors.promql import SERVICE, quoted
from otel_accubooks.verify.finding import Finding
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.prometheus import application
from otel_accubooks.verify.source import FRESH_SECONDS, Source, names
from otel_accubooks.verify.way import Site

GROUPS: tuple[LookName, ...] = tuple(
    name for name in get_args(LookName) if name.startswith("metrics ")
)
# What need never happen in a healthy application, and is counted only once it has.
RARE = frozenset(
    metric.name
    for metric in (
        m.CALCULATION_ERRORS_TOTAL,
        m.TENANT_ISOLATION_VIOLATIONS_TOTAL,
        m.TIER_LIMIT_HITS_TOTAL,
        m.SUPPORT_TICKETS_TOTAL,
    )
)
# A point or two more than are fresh, so that what is late is told from what is gone.
_WINDOW_SECONDS = 1.5 * FRESH_SECONDS
_HINTS = {
    "database": "is the application's database driver instrumented (docs/databases.md), and used?",
    "cache": "is the application's cache known (docs/cache.md), and used?",
    "queue": "is the worker started by opentelemetry-instrument, and has it done a job?",
    "business": "does OTEL_ACCUBOOKS_RULES name the rules (docs/rules.md), and has it happened?",
}


@dataclass(frozen=True)
class _Known:
    """What tells why a metric is missing."""

    source: Source
    exposition: Exposition | None
    types: dict[str, Any]


def look_metrics(site: Site) -> Iterator[Look]:
    """One look for each group."""
    with closing(Prometheus(site.servers.prometheus)) as client:
        known = _Known(
            Source(client, site.servers.service), application(site, client), _types(client.address)
        )
        for group in GROUPS:
            site.say(group)
            metrics = [metric for metric in METRICS if f"metrics {metric.group}" == group]
            yield _look_at_group(group, metrics, known)


def _look_at_group(group: LookName, metrics: list[Metric], known: _Known) -> Look:
    finding, source = Finding(group), known.source
    if source.fault:
        finding.faults.append(source.fault)
        return finding.look("")
    every = "|".join(name for metric in metrics for name in names(metric))
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in source.points(every, _WINDOW_SECONDS):
        found[sample.labels["__name__"]].append(sample)
    for metric in metrics:
        _look_at_metric(metric, found, known, finding)
    told = f" of {source.job}" if source.job else ""
    return finding.look(f"{len(metrics)} of {len(metrics)} metrics{told} are there, and fresh")


def _look_at_metric(
    metric: Metric, found: dict[str, list[Sample]], known: _Known, finding: Finding
) -> None:
    for name in names(metric):
        series = found.get(name)
        if not series:
            (finding.doubts if _never(metric, known) else finding.faults).append(
                f"{name}: {_reason(metric, name, known)}"
            )
            return
        age = known.source.now - max(sample.points[-1][0] for sample in series)
        if age > FRESH_SECONDS:
            finding.faults.append(
                f"{name}: the newest point is {age:.0f} s old, expected at most "
                f"{FRESH_SECONDS:.0f}: does it still come through the gateway?"
            )
        finding.evidence.append(
            f"{name}: {len(series)} series, the newest point {max(age, 0):.0f} s old"
        )
        if metric.type != "gauge" and any(restless(sample) for sample in series):
            finding.faults.append(
                f"{name}: it begins anew again and again: do two processes send under one "
                "service.instance.id?"
            )
        if any(not math.isfinite(sample.value) for sample in series):
            finding.faults.append(f"{name}: a value is no number: see the application's log")
    finding.faults += shape_faults(metric, found)
    told = [known.types.get(name) for name in (metric.name, metric.name.removesuffix("_total"))]
    types = {entry["type"] for entries in told if entries for entry in entries} - {"unknown"}
    if types and metric.type not in types:
        finding.faults.append(
            f"{metric.name} is a {' and a '.join(sorted(types))}, expected a {metric.type}: does "
            "somebody else send under this name?"
        )


def restless(sample: Sample) -> bool:
    """A counter falls when its service is started anew, which it is not twice in this time."""
    values = [value for _, value in sample.points]
    return sum(after < before for before, after in itertools.pairwise(values)) > 1


def shape_faults(metric: Metric, found: Mapping[str, list[Sample]]) -> Iterator[str]:
    """What is wrong with the labels and buckets of what is there; `found` are series by name."""
    for name in names(metric):
        yield from (f"{name}: {fault}" for fault in _label_faults(metric, found.get(name, [])))
    if metric.type == "histogram" and names(metric)[0] in found:
        yield from (f"{metric.name}: {fault}" for fault in _bucket_faults(metric, found))


def _label_faults(metric: Metric, series: list[Sample]) -> Iterator[str]:
    if any(INSTANCE not in sample.labels for sample in series):
        yield f"a series has no label {INSTANCE}: hosts cannot be told apart, and overwrite each other"
    for label in metric.labels:
        without = sum(label.name not in sample.labels for sample in series)
        if without:
            yield (
                f"{without} of {len(series)} series have no label {label.name}: is it dropped by a "
                "relabelling, or by a processor of the gateway?"
            )
        if label.values is not None:
            others = {sample.labels.get(label.name, label.values[0]) for sample in series}
            if others := others - set(label.values):
                told = ", ".join(sorted(others))
                yield f"{label.name} is {told}, expected one of {', '.join(label.values)}"


def _bucket_faults(metric: Metric, found: Mapping[str, list[Sample]]) -> Iterator[str]:
    """Every set of labels must have every bound, else a quantile is read from too few of them."""
    expected = {*metric.buckets, math.inf}
    bounds: dict[frozenset[tuple[str, str]], set[float]] = defaultdict(set)
    for sample in found.get(f"{metric.name}_bucket", ()):
        rest = {k: v for k, v in sample.labels.items() if k not in ("le", "__name__")}
        bounds[frozenset(rest.items())].add(float(sample.labels.get("le", "nan")))
    for got in {frozenset(got) for got in bounds.values()}:
        if missing := sorted(expected - got):
            yield f"no bucket {_texts(missing)}: is it dropped by a relabelling?"
        if other := sorted(got - expected):
            yield f"a bucket {_texts(other)}, which is not of the contract: is there a view on it?"
    # Prometheus compares samples of the same moment; a series that ended a minute ago is no gap.
    counts = {_without_name(sample) for sample in found.get(f"{metric.name}_count", ())}
    if counts - set(bounds):
        yield "some series have a count and no buckets: are they dropped by a relabelling?"


def _without_name(sample: Sample) -> frozenset[tuple[str, str]]:
    return frozenset((k, v) for k, v in sample.labels.items() if k != "__name__")


def _texts(bounds: Iterable[float]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)


def _never(metric: Metric, known: _Known) -> bool:
    """Whether it may be that what the metric counts has never happened, and nobody can tell."""
    return (
        metric.name in RARE
        and known.exposition is not None
        and not any(name in known.exposition for name in names(metric))
        and not _seen_before(metric.name, known)
        and not _elsewhere(metric.name, known)
    )


def _reason(metric: Metric, name: str, known: _Known) -> str:
    """Why it is missing, as far as that can be told, and what to do."""
    reasons: tuple[Callable[[], str], ...] = (
        lambda: _elsewhere(name, known),
        lambda: _renamed(name, known),
        lambda: _lost(name, known),
        lambda: _without_users(metric),
        lambda: _seen_before(name, known),
    )
    for reason in reasons:
        if told := reason():
            return told
    if metric.name in RARE:
        return (
            "missing; the application shows none either, so it may never have happened. Did it "
            "never? Otherwise see docs/rules.md"
        )
    return f"missing; {_HINTS.get(metric.group, 'use the application, and look again')}"


def _without_users(metric: Metric) -> str:
    if metric.name != m.TRUST_LAYER_USAGE_PERCENT.name:
        return ""
    return (
        "missing; there is none while nobody was active for 5 minutes: use the application while it "
        "looks"
    )


def _seen_before(name: str, known: _Known) -> str:
    chosen = f"{name}{{{SERVICE}={quoted(known.source.job)}}}"
    if not known.source.client.query(f"count(last_over_time({chosen}[1d]))"):
        return ""
    return "missing; it was there within the last day: what has changed or stopped since?"


def _elsewhere(name: str, known: _Known) -> str:
    others = known.source.client.query(f"count by ({SERVICE}) ({name})")
    jobs = sorted({one.labels.get(SERVICE, "") for one in others} - {known.source.job})
    if not jobs:
        return ""
    return f"missing; it is there of {', '.join(jobs)} alone: do all parts have one service's name?"


def _renamed(name: str, known: _Known) -> str:
    """Under a name to which a unit or `_total` was added, or from which it was taken."""
    base = name.removesuffix("_total").removesuffix("_bucket")
    similar = f"{{__name__=~{quoted(base + '(_[a-z]+)*')}, __name__!={quoted(name)}}}"
    others = known.source.client.query(f"count by (__name__) ({similar})")
    told = sorted({one.labels["__name__"] for one in others} - _OURS)
    if not told:
        return ""
    return (
        f"missing; there is {told[0]}: set translation_strategy to "
        "UnderscoreEscapingWithoutSuffixes (collector/prometheus/prometheus.yml)"
    )


def _lost(name: str, known: _Known) -> str:
    if known.exposition is None or name not in known.exposition:
        return ""
    return (
        "missing; the application itself shows it, so it is lost on the way: by a relabelling, a "
        "processor of the gateway, or since points do not arrive"
    )


_OURS = {name for metric in METRICS for name in names(metric)}


def _types(address: str) -> dict[str, Any]:
    """What Prometheus was told of each metric's type; it may know of none."""
    with closing(Api(address, {})) as api:
        try:
            answer = api.ask("GET", "/api/v1/metadata", missing={})
        except ApiError:
            return {}
    return dict((answer or {}).get("data") or {})
