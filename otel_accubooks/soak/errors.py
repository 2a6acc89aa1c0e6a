"""What went wrong meanwhile: failed requests, lost points, failed scrapes, restarted gateways."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract import pipeline as p
from otel_accubooks.contract.query import INSTANCE, Growth, Series, Share, Where
from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.soak.arrival import regular, told
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.found import Finding, Section, Table, judged, moment, number, often
from otel_accubooks.soak.host import Look
from otel_accubooks.soak.silence import resets
from otel_accubooks.soak.window import Window
from otel_accubooks.vendors.promql import APPLICATION_JOB, HEALTH_JOB, SERVICE, promql, quoted

GATEWAY_UPTIME = "otelcol_process_uptime"
_REQUESTS = Series(m.HTTP_REQUESTS_TOTAL.name)
_FAILED = Series(m.HTTP_REQUESTS_TOTAL.name, (Where("status_code", "5", prefix=True),))
# The collector's own name, of points that were taken in and then went wrong; no alert asks for it.
_RECEIVER_FAILED = "otelcol_receiver_failed_metric_points"
_LOST = (
    *(
        (Series(metric.name), metric.description)
        for metric in (p.SEND_FAILED, p.ENQUEUE_FAILED, p.RECEIVER_REFUSED, p.PROCESSOR_REFUSED)
    ),
    (p.OUT_OF_TIME, p.LEFT_OUT.description),
    (Series(_RECEIVER_FAILED), "Points that were taken and then failed"),
)
# Of collector/prometheus/prometheus.yml; what else a Prometheus scrapes is not ours to judge.
_SCRAPED = (APPLICATION_JOB, HEALTH_JOB, "otel-gateway", "otel-gateway-export", "alertmanager")
_ALSO = (
    (Series(m.FORECAST_JOBS_PROCESSED_TOTAL.name, (Where("status", "failure"),)), "jobs failed"),
    (Series(m.DB_CONNECTION_ERRORS_TOTAL.name), "connections to the database failed"),
    (Series(m.CALCULATION_ERRORS_TOTAL.name), "calculations went wrong"),
    (Series(m.TENANT_ISOLATION_VIOLATIONS_TOTAL.name), "attempts to reach another tenant's data"),
)


def errors(window: Window, looks: Sequence[Look]) -> Section:
    """The section of the report; `looks` are those at the processes of this host."""
    findings, rows = [], []
    for job in window.jobs:
        finding, row = _requests(window, job)
        findings.append(finding)
        rows.append(row)
    findings += _scrapes(window)
    findings += _gateways(window)
    findings += _exporters(looks, window)
    columns = ("service", "requests", "failed with 5xx", *(what for _, what in _ALSO))
    return Section("Errors", tuple(findings), Table(columns, tuple(rows)))


def grown(window: Window, of: Series, job: str | None = None) -> list[Sample]:
    """How much these totals grew in the window, by service."""
    query = promql(Growth((of,), window.whole_seconds))
    found = window.at_end(query)
    return [one for one in found if job is None or one.labels.get(SERVICE, "") == job]


def _requests(window: Window, job: str) -> tuple[Finding, tuple[str, ...]]:
    def total(of: Series) -> float:
        return sum(one.value for one in grown(window, of, job))

    asked = total(_REQUESTS)
    row = (job, number(asked), number(total(_FAILED)), *(number(total(of)) for of, _ in _ALSO))
    query = promql(Share(_FAILED, (_REQUESTS,), window.whole_seconds))
    shares = [one.value for one in window.at_end(query) if one.labels.get(SERVICE, "") == job]
    if not asked or not shares:
        said = f"{job}: nobody sent a request: errors and latency could not be seen"
        return Finding("unseen", said), row
    limit = window.limits.error_percent
    said = f"{job}: {shares[0]:.3g} % of {number(asked)} requests failed; at most {limit:g} % may"
    return judged(failed=shares[0] > limit, said=said), row


def _scrapes(window: Window) -> Iterator[Finding]:
    """What Prometheus scrapes, or asks for its health."""
    jobs = "|".join([*_SCRAPED, *map(re.escape, window.jobs)])
    scraped = window.raw(f"up{{{SERVICE}=~{quoted(jobs)}}}")
    if not scraped:
        said = "Prometheus scrapes nothing: whether the application answers cannot be seen"
        yield Finding("unseen", said)
    for one in scraped:
        who = f"{one.labels.get(SERVICE, '')} at {one.labels.get(INSTANCE, '')}"
        failed = sum(value == 0 for _, value in one.points)
        rhythm = regular(window, [at for at, value in one.points if value == 1])
        if rhythm.gaps:
            said = f"scrape of {who}: it did not answer: {told(rhythm.gaps)}"
            yield Finding("failed", said)
        else:
            said = f"scrape of {who}: {failed} of {len(one.points)} failed, without a gap"
            share, least = window.limits.missing_share, window.limits.missing_points
            yield judged(failed=failed > max(least, share * len(one.points)), said=said)


def _gateways(window: Window) -> Iterator[Finding]:
    uptimes = window.raw(GATEWAY_UPTIME)
    if not uptimes:
        said = "no gateway tells of itself here: whether one lost points cannot be seen"
        yield Finding("unseen", said)
        return
    for one in uptimes:
        who = f"gateway {one.labels.get(INSTANCE, '')}"
        restarts = [*resets(one.points)]
        # One that was started in the window before its first scrape there.
        first, uptime = one.points[0]
        if first - uptime > window.start:
            restarts.insert(0, first - uptime)
        when = ", ".join(moment(at) for at in restarts[:5])
        said = f"was restarted {often(len(restarts))}: {when}" if restarts else "was not restarted"
        yield judged(failed=len(restarts) > window.limits.restarts, said=f"{who} {said}")
    for series, description in _LOST:
        lost = _lost(window, series)
        said = f"{description} ({series.metric}): {number(lost)}"
        yield judged(failed=lost > window.limits.lost_points, said=said)


def _lost(window: Window, series: Series) -> float:
    if series.metric in p.PIPELINE:
        return sum(one.value for one in grown(window, series))
    span = f"{round(window.seconds * 1000)}ms"
    either = f'{{__name__=~"{series.metric}(_total)?"}}'
    return sum(one.value for one in window.at_end(f"sum(increase({either}[{span}]))"))


def _exporters(looks: Sequence[Look], window: Window) -> Iterator[Finding]:
    """What the exporters of this host said while they were looked at."""
    jobs = sorted({look.job for look in looks if look.job in window.jobs})
    if not jobs:
        said = "what exporters say can be seen only while they are watched, on their host"
        yield Finding("unseen", said)
    for job in jobs:
        own = [look for look in looks if look.job == job]
        troubled = [look for look in own if look.problem]
        if troubled:
            share = f"{len(troubled)} of {len(own)} looks, first at {moment(troubled[0].at)}"
            said = f"the exporter of {job} said ({share}): {troubled[0].problem}"
            yield Finding("failed", said)
        else:
            yield Finding(
                "passed", f"the exporter of {job} complained of nothing in {len(own)} looks"
            )
        pids = list(dict.fromkeys(look.pid for look in own))
        starts = len(pids) - 1
        if starts > window.limits.restarts:
            said = f"the exporter of {job} was replaced {often(starts)} within {_length(own)}"
            yield Finding("failed", said)


def _length(looks: Sequence[Look]) -> str:
    return spoken(looks[-1].at - looks[0].at)
