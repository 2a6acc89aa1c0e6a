"""What may not grow for ever: memory, descriptors, the number of series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.query import INSTANCE
from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.found import Finding, Section, Table, number, size
from otel_accubooks.soak.host import Look
from otel_accubooks.soak.statistics import Points, Trend, trend
from otel_accubooks.soak.window import USUAL_SECONDS, Window
from otel_accubooks.vendors.promql import SERVICE

GATEWAY_MEMORY = "otelcol_process_memory_rss"
_OVERFLOW = "otel_metric_overflow"
_A_DAY = 86400.0

Row = tuple[str, ...]


def growth(window: Window, looks: Sequence[Look]) -> Section:
    """The section of the report; `looks` are those at the processes of this host."""
    findings: list[Finding] = []
    rows: list[Row] = []
    for who, points in _memory(window, looks):
        finding, row = _judged(window, who, points, window.limits.growth_bytes, size)
        findings.append(finding)
        rows.append(row)
    for who, points in _descriptors(window, looks):
        finding, row = _judged(window, who, points, window.limits.growth_descriptors, number)
        findings.append(finding)
        rows.append(row)
    findings += _series(window)
    findings += _full(window)
    return Section(
        "Memory",
        tuple(findings),
        Table(("what", "at first", "highest", "last", "trend in 24 h", "steadiness"), tuple(rows)),
        (
            "The trend is the median of all slopes (Theil and Sen), so that single peaks do not move it. "
            "It fails only where the growth is steady and still goes on in the second half.",
        ),
    )


def _memory(window: Window, looks: Sequence[Look]) -> Iterator[tuple[str, Points]]:
    name = m.PROCESS_MEMORY_USAGE_BYTES.name
    step = max(USUAL_SECONDS, window.seconds / 500)
    for one in window.raw(f"{name}{{{window.of_services}}}"):
        yield f"memory of {_of(one)}", one.points
    for one in window.over(f"{GATEWAY_MEMORY}", min(step, window.seconds / 30)):
        yield f"memory of the gateway {one.labels.get(INSTANCE, '')}", one.points
    for job in _jobs(window, looks):
        points = [(look.at, look.exporter.rss) for look in looks if look.job == job]
        yield f"memory of the exporter of {job}", points


def _descriptors(window: Window, looks: Sequence[Look]) -> Iterator[tuple[str, Points]]:
    for job in _jobs(window, looks):
        own = [look for look in looks if look.job == job]
        yield f"descriptors of the exporter of {job}", [(o.at, o.exporter.files) for o in own]
        yield f"descriptors of {job}", [(o.at, o.service.files) for o in own if o.processes]


def _jobs(window: Window, looks: Sequence[Look]) -> list[str]:
    return sorted({look.job for look in looks if look.job in window.jobs})


def _of(one: Sample) -> str:
    return f"{one.labels.get(SERVICE, '')} ({one.labels.get(INSTANCE, '')[:8]})"


def _judged(
    window: Window, who: str, points: Points, least: float, say: object
) -> tuple[Finding, Row]:
    assert callable(say)
    values = [value for _, value in points]
    found = trend(points)
    span = points[-1][0] - points[0][0] if points else 0.0
    if found is None or span < window.seconds / 2:
        state = f"{len(points)} points in {spoken(span)}"
        row = (who, *(say(v) for v in _ends(values)), "too little data", "")
        return Finding("unseen", f"{who}: no trend can be told from {state}"), row
    limits = window.limits
    grows = found.keeps_growing(limits.growth_share, least, limits.steadiness)
    a_day = found.slope * _A_DAY
    row = (who, *(say(v) for v in _ends(values)), f"{say(a_day)}", f"{found.tau:.2f}")
    if not grows:
        return Finding("passed", f"{who}: {say(found.level)}, no lasting growth"), row
    return Finding("failed", f"{who} {_told(found, span, say)}"), row


def _told(found: Trend, span: float, say: object) -> str:
    assert callable(say)
    grown = f"grew by {say(found.grown)} from {say(found.level)} in {spoken(span)}"
    share = f"{100 * found.grown / found.level:.0f} %" if found.level else "from nothing"
    a_day = say(found.slope * _A_DAY)
    return f"{grown} ({share}), steadily and to the end: {a_day} a day: does it leak?"


def _ends(values: list[float]) -> tuple[float, float, float]:
    return (values[0], max(values), values[-1]) if values else (0.0, 0.0, 0.0)


def _series(window: Window) -> Iterator[Finding]:
    """How many series there are: labels without bounds make ever more."""
    names = "|".join(metric.name for metric in m.METRICS)
    chosen = f'{{__name__=~"({names})(_bucket|_count|_sum)?", {window.of_services}}}'
    counted = window.over(f"count by ({SERVICE}) ({chosen})", max(window.seconds / 60, 1))
    for one in counted:
        found = trend(one.points)
        job, first, last = one.labels.get(SERVICE, ""), one.points[0][1], one.points[-1][1]
        limits = window.limits
        said = f"{job}: {first:.0f} series at first, {last:.0f} at the end"
        if found and found.keeps_growing(1.0, 500, limits.steadiness):
            yield Finding("failed", f"{said}, ever more: which label has no bounds?")
        else:
            yield Finding("passed", said)


def _full(window: Window) -> Iterator[Finding]:
    for one in window.at_end(
        f'count by ({SERVICE}, __name__) ({{{_OVERFLOW}="true", {window.of_services}}})'
    ):
        name, job = one.labels.get("__name__", ""), one.labels.get(SERVICE, "")
        said = f"{job}: {name} has reached its limit of series; see OTEL_ACCUBOOKS_SERIES_LIMIT"
        yield Finding("failed", said)
