"""How much alerts had to say: how often, how long, back and forth, and whether it was delivered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from otel_accubooks.contract.alert import Severity
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.query import HOUR
from otel_accubooks.servers.exposition import Exposition
from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.soak.arrival import regular, told
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.found import Finding, Section, Table, judged, often
from otel_accubooks.soak.silence import Span, episodes, interval, most_within
from otel_accubooks.soak.window import USUAL_SECONDS, Window
from otel_accubooks.vendors.promql import SERVICE

HEARTBEAT = next(alert.name for alert in ALERTS if alert.severity == "none")
_URGENT: tuple[Severity, ...] = ("P0", "P1")
_JUDGED: tuple[Severity, ...] = (*_URGENT, "P2", "P3", "none")
# Totals of which any growth means that somebody was not told, or nothing was judged.
_PROMETHEUS = {
    "prometheus_notifications_dropped_total": "alerts were not told to any Alertmanager",
    "prometheus_rule_evaluation_failures_total": "evaluations of rules failed",
}
_SENT = "alertmanager_notifications_total"
_FAILED = "alertmanager_notifications_failed_total"

# A page at the beginning and at the end, by the address of its server.
Pages = Mapping[str, tuple[Exposition, Exposition]]


@dataclass(frozen=True)
class Told:
    """One alert: every stretch of time in which it fired, and how often it was pending."""

    name: str
    severity: str
    firing: tuple[Span, ...]
    most_in_an_hour: int
    pending: int

    @property
    def seconds(self) -> float:
        """How long it fired, stretches that overlap counted once."""
        total, until = 0.0, float("-inf")
        for since, to in sorted(self.firing):
            total += max(to - max(since, until), 0.0)
            until = max(until, to)
        return total


def noise(window: Window, prometheus: Pages, alertmanagers: Pages) -> Section:
    """The section of the report; the pages are empty where the window was not watched."""
    samples = [
        one
        for one in window.raw("ALERTS")
        # Others' alerts have severities of their own, and a test says nothing of the deployment.
        if one.labels.get("severity") in _JUDGED and one.labels.get(SERVICE) not in window.others
    ]
    beats = [one for one in samples if one.labels.get("alertname") == HEARTBEAT]
    times = sorted({at for one in beats for at, _ in one.points})
    every = interval(times, USUAL_SECONDS)
    alerts = _alerts(samples, every)
    findings = [
        *_judging(window, times),
        *_urgent(window, alerts),
        *_flapping(window, alerts),
        *_lasting(window, alerts),
        *_told_by_prometheus(window, prometheus),
        *_told_by_alertmanager(window, alertmanagers),
    ]
    rows = [
        (
            one.name, one.severity, str(len(one.firing)), spoken(one.seconds),
            str(one.most_in_an_hour), str(one.pending),
        )
        for one in alerts
    ]  # fmt: skip
    columns = ("alert", "severity", "fired", "for", "most in an hour", "pending in vain")
    return Section("Alert noise", tuple(findings), Table(columns, tuple(rows)))


def _alerts(samples: list[Sample], every: float) -> list[Told]:
    by_name: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for one in samples:
        name, severity = one.labels.get("alertname", ""), one.labels.get("severity", "")
        if name != HEARTBEAT:
            by_name[severity, name].append(one)
    return [
        _one(name, severity, by_name[severity, name], every) for severity, name in sorted(by_name)
    ]


def _one(name: str, severity: str, samples: list[Sample], every: float) -> Told:
    firing: list[Span] = []
    most = pending = 0
    for one in samples:
        spans = episodes([at for at, _ in one.points], every)
        if one.labels.get("alertstate") == "firing":
            # Until it was judged again.
            firing += [(since, until + every) for since, until in spans]
            most = max(most, most_within(spans, HOUR))
        else:
            pending += len(spans)
    # Whoever fired was pending before, but for those that do not wait.
    return Told(name, severity, tuple(sorted(firing)), most, max(pending - len(firing), 0))


def _judging(window: Window, times: list[float]) -> Iterator[Finding]:
    if not times:
        said = (
            f"{HEARTBEAT} never fired: no rule of the contract was judged, nobody would be alerted"
        )
        yield Finding("failed", said)
        return
    rhythm = regular(window, times)
    said = f"rules were judged every {spoken(rhythm.interval)}, without a gap"
    if rhythm.gaps:
        said = f"alerting was blind, {HEARTBEAT} did not fire: {told(rhythm.gaps)}"
    yield judged(failed=bool(rhythm.gaps), said=said)


def _urgent(window: Window, alerts: list[Told]) -> Iterator[Finding]:
    urgent = [one for one in alerts if one.severity in _URGENT and one.firing]
    for one in urgent:
        yield judged(
            failed=len(one.firing) > window.limits.urgent_firings,
            said=f"{one.severity} {one.name} fired {often(len(one.firing))}: {told(one.firing)}",
        )
    if not urgent:
        yield Finding("passed", "no alert of P0 or P1 fired")


def _flapping(window: Window, alerts: list[Told]) -> Iterator[Finding]:
    flapping = [one for one in alerts if one.most_in_an_hour >= window.limits.flapping]
    for one in flapping:
        often = f"fired {one.most_in_an_hour} times within an hour"
        said = f"{one.name} flaps: it {often}: is its threshold what is usual here? See Baseline"
        yield Finding("failed", said)
    if not flapping:
        yield Finding("passed", "no alert flapped")


def _lasting(window: Window, alerts: list[Told]) -> Iterator[Finding]:
    for one in alerts:
        share, limits = one.seconds / window.seconds, window.limits
        long = share > limits.firing_share and one.seconds > limits.firing_seconds
        if one.severity == "P2" and long:
            said = (
                f"{one.name} fired for {100 * share:.0f} % of the time: nobody looks at it any more"
            )
            yield Finding("failed", said)


def _told_by_prometheus(window: Window, servers: Pages) -> Iterator[Finding]:
    for address, (before, after) in servers.items():
        for name, what in _PROMETHEUS.items():
            failed = sum(_grew(before, after, name).values())
            said = f"Prometheus {address}: {failed:.0f} {what} ({name})"
            yield judged(failed=failed > window.limits.notifications_failed, said=said)
    if not servers:
        said = "whether Prometheus told every alert: its own page was not read before and after"
        yield Finding("unseen", said)


def _told_by_alertmanager(window: Window, servers: Pages) -> Iterator[Finding]:
    for address, (before, after) in servers.items():
        sent = _grew(before, after, _SENT, by="integration")
        failed = _grew(before, after, _FAILED, by="integration")
        told_by = ", ".join(f"{name} {count:.0f}" for name, count in sent.items() if count)
        unsent = {name: count for name, count in failed.items() if count}
        said = f"Alertmanager {address}: notifications: {told_by or 'none'}"
        if unsent:
            said += "; failed: " + ", ".join(f"{name} {n:.0f}" for name, n in unsent.items())
        too_many = sum(unsent.values()) > window.limits.notifications_failed
        yield judged(failed=too_many, said=said)
    if not servers:
        said = (
            "what Alertmanager told, or failed to tell: its own page was not read before and after"
        )
        yield Finding("unseen", said)


def _grew(before: Exposition, after: Exposition, name: str, by: str = "") -> dict[str, float]:
    """By how much a total grew, for each value of the label `by`; one that is lower began anew."""
    earlier = {frozenset(one.labels.items()): one.value for one in before.get(name, ())}
    found: dict[str, float] = defaultdict(float)
    for one in after.get(name, ()):
        was = earlier.get(frozenset(one.labels.items()), 0.0)
        found[one.labels.get(by, "")] += one.value - was if one.value >= was else one.value
    return dict(sorted(found.items()))
