"""What being watched costs, as far as it can be seen from outside, and whether requests got slower."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.query import INSTANCE, Mean, Series
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.errors import grown
from otel_accubooks.soak.found import Finding, Section, Table, judged, number, size
from otel_accubooks.soak.growth import GATEWAY_MEMORY
from otel_accubooks.soak.host import Look
from otel_accubooks.soak.window import Window
from otel_accubooks.vendors.promql import SERVICE, promql

_GATEWAY_CPU = "otelcol_process_cpu_seconds"
_DURATION = Series(m.HTTP_REQUEST_DURATION_MS.name)

Row = tuple[str, ...]


def overhead(window: Window, looks: Sequence[Look]) -> Section:
    """The section of the report; `looks` are those at the processes of this host."""
    findings: list[Finding] = []
    rows: list[Row] = []
    for job in window.jobs:
        cpu, memory = _application(window, job)
        requests = sum(one.value for one in grown(window, Series(m.HTTP_REQUESTS_TOTAL.name), job))
        rows.append(_row(job, cpu, memory, window, requests=requests, application=cpu))
        own = [look for look in looks if look.job == job]
        used = _exporter_cpu(own)
        if used is None:
            said = f"what the exporter of {job} uses is seen only while it is watched, on its host"
            findings.append(Finding("unseen", said))
        else:
            seconds = own[-1].at - own[0].at
            peak = max(look.exporter.rss for look in own)
            # Looked at for a little less than the window.
            whole = used / seconds * window.seconds
            rows.append(
                _row(
                    f"its exporter ({job})", whole, peak, window, requests=requests, application=cpu
                )
            )
            findings.append(_judged(window, job, used / seconds))
        findings.append(_latency(window, job))
    rows += _gateways(window)
    return Section(
        "Overhead",
        tuple(findings),
        Table(
            ("what", "CPU", "cores", "memory at most", "of the application's CPU", "CPU a request"),
            tuple(rows),
        ),
        (
            "What a single request pays inside the application cannot be seen from outside: it is part "
            "of the application's CPU here. To measure it, load the same application with and without "
            "the launcher in one run, and compare.",
        ),
    )


def _application(window: Window, job: str) -> tuple[float, float]:
    """CPU seconds and most bytes of the service's processes, on all of its hosts."""
    cores = memory = 0.0
    for metric in (m.PROCESS_CPU_USAGE_PERCENT, m.PROCESS_MEMORY_USAGE_BYTES):
        found = window.raw(f"{metric.name}{{{window.of_services}}}")
        for one in found:
            if one.labels.get(SERVICE, "") == job:
                values = [value for _, value in one.points]
                if metric is m.PROCESS_MEMORY_USAGE_BYTES:
                    memory += max(values)
                else:
                    share = (one.points[-1][0] - one.points[0][0]) / window.seconds
                    cores += sum(values) / len(values) / 100 * min(share, 1.0)
    return cores * window.seconds, memory


def _exporter_cpu(looks: Sequence[Look]) -> float | None:
    """CPU seconds between the first look and the last; None of fewer than two moments."""
    if len(looks) < 2 or looks[-1].at <= looks[0].at:
        return None
    used = 0.0
    for before, after in itertools.pairwise(looks):
        same = before.pid == after.pid
        used += after.exporter.cpu - (before.exporter.cpu if same else 0.0)
    return used


def _judged(window: Window, job: str, cores: float) -> Finding:
    limit = window.limits.exporter_cores
    said = f"the exporter of {job} uses {cores:.3f} cores on average; at most {limit:g} may be"
    return judged(failed=cores > limit, said=said)


def _gateways(window: Window) -> Iterator[Row]:
    span = f"{round(window.seconds * 1000)}ms"
    either = f'{{__name__=~"{_GATEWAY_CPU}(_total)?"}}'
    memory = {
        one.labels.get(INSTANCE, ""): max(value for _, value in one.points)
        for one in window.raw(GATEWAY_MEMORY)
    }
    for one in window.at_end(f"increase({either}[{span}])"):
        name = one.labels.get(INSTANCE, "")
        yield _row(
            f"gateway {name}", one.value, memory.get(name, 0.0), window, requests=0, application=0
        )


def _row(
    what: str, cpu: float, memory: float, window: Window, *, requests: float, application: float
) -> Row:
    share = f"{100 * cpu / application:.2f} %" if application else ""
    each = f"{1000 * cpu / requests:.3f} ms" if requests else ""
    return (what, spoken(cpu), f"{cpu / window.seconds:.4f}", size(memory), share, each)


def _latency(window: Window, job: str) -> Finding:
    """Mean latency of the last quarter against that of the first."""
    limits = window.limits
    if window.seconds < limits.slower_seconds:
        said = f"{job}: {spoken(window.seconds)} are too short to tell whether requests get slower"
        return Finding("unseen", said)
    quarter = float(round(window.seconds / 4))
    query = promql(Mean(_DURATION, quarter))
    first, last = (
        [
            one.value
            for one in window.prometheus.query(query, at)
            if one.labels.get(SERVICE, "") == job
        ]
        for at in (window.start + quarter, window.end)
    )
    if not first or not last:
        said = f"{job}: without requests in the first and the last quarter no latency is compared"
        return Finding("unseen", said)
    said = (
        f"{job}: requests took {number(first[0])} ms on average in the first quarter, "
        f"{number(last[0])} ms in the last; at most {limits.slower:g} times as long is stable"
    )
    return judged(failed=last[0] > limits.slower * first[0], said=said)
