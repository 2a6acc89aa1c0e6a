"""Does everything arrive, all the time: gaps in series, restarts, totals that fell, freshness."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.query import INSTANCE
from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.found import Finding, Section, Table, judged, moment, often
from otel_accubooks.soak.silence import Heard, Span, heard, interval, resets
from otel_accubooks.soak.window import USUAL_SECONDS, Window
from otel_accubooks.vendors.promql import SERVICE, quoted

# It is there for as long as the service is, and comes with everything else.
HEARTBEAT = m.SYSTEM_UPTIME_SECONDS.name
# No data is what the contract has these say while there are no users.
_MAY_REST = frozenset({m.TRUST_LAYER_USAGE_PERCENT.name})
_MOST_BINS = 1000
_MOST_TOLD = 5

Key = tuple[str, str]


def arrival(window: Window) -> Section:
    """The section of the report."""
    beats = window.raw(f"{HEARTBEAT}{{{window.of_services}}}")
    findings: list[Finding] = []
    rows: list[tuple[str, ...]] = []
    for job in window.jobs:
        own = [one for one in beats if one.labels.get(SERVICE, "") == job]
        rhythm = _rhythm(window, own)
        findings += _regular(window, f"{job}", rhythm)
        findings += _each(window, job, own)
        findings += _lives(window, job, own, rhythm.interval)
        rows.append(_row(window, job, own, rhythm))
    steps = [interval([at for at, _ in one.points], USUAL_SECONDS) for one in beats]
    findings += _metrics(window, beats, max(steps, default=USUAL_SECONDS))
    findings += _totals(window, {job for job in window.jobs if _restarted(beats, job)})
    return Section(
        "Gaps in series",
        tuple(findings),
        Table(
            ("service", "instances", "interval", "points", "missing", "gaps", "newest point"),
            tuple(rows),
        ),
    )


def regular(
    window: Window, times: list[float], usual: float = USUAL_SECONDS, least: float | None = None
) -> Heard:
    """What came at these times in the window, judged by its limits."""
    every = interval(times, usual)
    limits = window.limits
    shortest = limits.gap_seconds if least is None else least
    return heard(
        times, window.start, window.end, every, intervals=limits.gap_intervals, least=shortest
    )


def told(gaps: Iterable[Span]) -> str:
    """The gaps in words, the first few of them."""
    spans = list(gaps)
    some = [f"{moment(since)} for {spoken(until - since)}" for since, until in spans[:_MOST_TOLD]]
    more = len(spans) - len(some)
    return "; ".join(some) + (f"; and {more} more" if more > 0 else "")


def _rhythm(window: Window, own: list[Sample]) -> Heard:
    times = sorted(at for one in own for at, _ in one.points)
    # Several hosts send at times of their own.
    every = max(
        (interval([at for at, _ in one.points], USUAL_SECONDS) for one in own),
        default=USUAL_SECONDS,
    )
    limits = window.limits
    longest = max(own, key=lambda one: len(one.points), default=None)
    if len(own) > 1 or longest is None:
        together = heard(
            times,
            window.start,
            window.end,
            every,
            intervals=limits.gap_intervals,
            least=limits.gap_seconds,
        )
        return Heard(every, together.gaps, 0, together.expected)
    return regular(window, times)


def _regular(window: Window, who: str, rhythm: Heard) -> Iterator[Finding]:
    limits = window.limits
    silent = sum(until - since for since, until in rhythm.gaps)
    if rhythm.gaps:
        some = told(rhythm.gaps)
        yield Finding("failed", f"{who}: nothing arrived for {spoken(silent)} in all: {some}")
    else:
        yield Finding("passed", f"{who}: points every {spoken(rhythm.interval)}, without a gap")
    many = rhythm.missing > max(limits.missing_points, limits.missing_share * rhythm.expected)
    if many:
        said = f"{rhythm.missing} of {rhythm.expected} points are missing, one here and one there"
        yield Finding("failed", f"{who}: {said}")


def _each(window: Window, job: str, own: list[Sample]) -> Iterator[Finding]:
    """Silences of one instance while others sent, and those that send the same again and again."""
    limits = window.limits
    for one in own:
        who = f"{job}: instance {one.labels.get(INSTANCE, '')}"
        times = [at for at, _ in one.points]
        every = interval(times, USUAL_SECONDS)
        alone = heard(
            times,
            times[0],
            times[-1],
            every,
            intervals=limits.gap_intervals,
            least=limits.gap_seconds,
        )
        if len(own) > 1 and alone.gaps:
            yield Finding("failed", f"{who} was silent while others were not: {told(alone.gaps)}")
        (since, before), (until, after) = one.points[0], one.points[-1]
        if until - since > limits.gap_seconds and after == before:
            said = f"{who} stands still at an uptime of {spoken(after)}: does it send old values?"
            yield Finding("failed", said)


def _lives(window: Window, job: str, own: list[Sample], every: float) -> Iterator[Finding]:
    """Restarts, hosts that left, hosts that joined."""
    allowed = max(window.limits.gap_intervals * every, window.limits.gap_seconds)
    fell = [(at, one) for one in own for at in resets(one.points)]
    left = [one for one in own if one.points[-1][0] < window.end - allowed]
    left.sort(key=lambda one: one.points[-1][0])  # who came, came for the first of them
    # Its uptime says when it was started.
    came = [one for one in own if one.points[0][0] - one.points[0][1] > window.start]
    restarts = len(fell) + min(len(came), len(left))
    if restarts > window.limits.restarts:
        moments = [at for at, _ in fell] + [one.points[0][0] for one in came]
        when = ", ".join(moment(at) for at in sorted(moments)[:_MOST_TOLD])
        yield Finding("failed", f"{job}: the service was restarted {often(restarts)}: {when}")
    elif len(left) == 0:
        yield Finding("passed", f"{job}: the service was not restarted")
    for one in left[len(came) :]:
        name, last = one.labels.get(INSTANCE, ""), moment(one.points[-1][0])
        said = f"{job}: instance {name} was last heard at {last}, and nobody came in its place"
        yield Finding("failed", said)


def _restarted(beats: list[Sample], job: str) -> bool:
    return any(resets(one.points) for one in beats if one.labels.get(SERVICE, "") == job)


def _row(window: Window, job: str, own: list[Sample], rhythm: Heard) -> tuple[str, ...]:
    newest = max((one.points[-1][0] for one in own), default=None)
    age = "never" if newest is None else f"{spoken(max(window.end - newest, 0))} old"
    got = sum(len(one.points) for one in own)
    counts = (len(own), spoken(rhythm.interval), got, rhythm.missing, len(rhythm.gaps))
    return (job, *map(str, counts), age)


def _stored(metric: Metric) -> str:
    return f"{metric.name}_count" if metric.type == "histogram" else metric.name


def _metrics(window: Window, beats: list[Sample], every: float) -> Iterator[Finding]:
    """Metrics that were away while their instance sent, and totals of which series went."""
    step = max(4 * every, window.limits.gap_seconds, window.seconds / _MOST_BINS)
    by_name = {_stored(metric): metric for metric in m.METRICS}
    names = f"__name__=~{quoted('|'.join(by_name))}"
    chosen = f"{{{names}, {window.of_services}}}[{round(step * 1000)}ms]"
    counted = window.over(
        f"count by (__name__, {SERVICE}, {INSTANCE}) (last_over_time({chosen}))", step
    )
    alive = {_key(one): [at for at, _ in one.points] for one in beats}
    away: dict[str, list[Span]] = defaultdict(list)
    fewer: set[str] = set()
    for one in counted:
        name = one.labels["__name__"]
        if name in _MAY_REST:
            continue
        away[name] += _away(window, one, alive.get(_key(one), []), step)
        if by_name[name].type != "gauge" and resets(one.points):
            fewer.add(name)
    yield from _told_away(away)
    if fewer:
        said = "which are never taken back: is a total reported by two?"
        names = ", ".join(sorted(fewer))
        yield Finding("failed", f"series of these totals went while others stayed, {said} {names}")


def _told_away(away: dict[str, list[Span]]) -> Iterator[Finding]:
    gone = {name: spans for name, spans in sorted(away.items()) if spans}
    if not away:
        yield Finding("failed", "no metric of the contract was seen")
    elif not gone:
        yield Finding("passed", f"{len(away)} metrics were seen, each of them all the time")
    for name, spans in list(gone.items())[:_MOST_TOLD]:
        said = f"{name} was away while its service went on sending: {told(spans)}"
        yield Finding("failed", said)
    if len(gone) > _MOST_TOLD:
        others = ", ".join(list(gone)[_MOST_TOLD:])
        yield Finding("failed", f"and so were {others}")


def _away(window: Window, one: Sample, beats: list[float], step: float) -> list[Span]:
    """Stretches without the metric, from its first point on, in which its instance was heard."""
    there = {round((at - window.start) / step) for at, _ in one.points}
    spans: list[Span] = []
    for number in range(min(there), math.floor(window.seconds / step) + 1):
        until = window.start + number * step
        # An empty bin says nothing where the instance was silent as well.
        sent = bisect.bisect_right(beats, until) - bisect.bisect_right(beats, until - step)
        if number not in there and sent > 1:
            joined = spans and spans[-1][1] > until - 1.5 * step
            spans[-1:] = [(spans[-1][0], until)] if joined else [*spans[-1:], (until - step, until)]
    return spans


def _totals(window: Window, restarted: set[str]) -> Iterator[Finding]:
    """Totals that fell though their service ran on."""
    span = f"{round(window.seconds * 1000)}ms"
    fell = []
    for metric in m.METRICS:
        if metric.type != "gauge":
            chosen = f"{_stored(metric)}{{{window.of_services}}}"
            falls = f"sum by ({SERVICE}) (resets({chosen}[{span}])) > 0"
            found = window.at_end(falls)
            fell += [
                f"{metric.name} of {one.labels.get(SERVICE, '')} ({one.value:.0f} times)"
                for one in found
                if one.labels.get(SERVICE, "") not in restarted
            ]
    yield judged(
        failed=bool(fell),
        said=f"totals fell though their service ran on: {', '.join(fell)}"
        if fell
        else "no total fell while its service ran on",
    )


def _key(one: Sample) -> Key:
    return one.labels.get(SERVICE, ""), one.labels.get(INSTANCE, "")
