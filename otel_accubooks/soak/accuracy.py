"""Does the backend say what the application counted: its own page against Prometheus."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.query import INSTANCE
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.exposition import exposed, total
from otel_accubooks.soak.arrival import HEARTBEAT
from otel_accubooks.soak.found import Finding, Section, judged, number
from otel_accubooks.soak.silence import interval
from otel_accubooks.soak.window import USUAL_SECONDS, Window
from otel_accubooks.vendors.promql import APPLICATION_JOB, SERVICE, quoted

TOKEN = "OTEL_ACCUBOOKS_MONITORING_TOKEN"  # noqa: S105 - the name of a variable
# What was counted is in Prometheus after an interval, and what that takes on a busy machine.
_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.5
_HOSTS = (m.SYSTEM_NETWORK_IO_BYTES_TOTAL, m.SYSTEM_DISK_IO_BYTES_TOTAL)
_NAMES = tuple(
    f"{metric.name}_count" if metric.type == "histogram" else metric.name
    for metric in m.METRICS
    if metric.type != "gauge" and metric not in _HOSTS
)


def accuracy(window: Window, environ: Mapping[str, str] = os.environ) -> Section:
    """The section of the report. It looks at now, whatever the window."""
    findings = [*_against_the_page(window, environ.get(TOKEN, "")), *_among_themselves(window)]
    return Section(
        "Metrics accuracy",
        tuple(findings),
        notes=(
            "People go on meanwhile, so the application is asked before and after: what Prometheus has "
            "must lie between its two answers, total by total.",
        ),
    )


def _against_the_page(window: Window, token: str) -> Iterator[Finding]:
    pages = sorted(
        {
            one["scrapeUrl"]
            for one in window.prometheus.targets()
            if one["labels"].get("job") == APPLICATION_JOB
        }
    )
    instances = _sending(window)
    if len(window.jobs) != 1:
        said = f"{len(window.jobs)} services were heard: name one, and its page is compared"
        yield Finding("unseen", said)
    elif not pages or len(pages) != len(instances):
        said = (
            f"Prometheus scrapes {len(pages)} pages of the application and has points of "
            f"{len(instances)} instances: expected one page for each, see targets/app.yml"
        )
        yield Finding("unseen", said)
    else:
        try:
            yield _compared(window, pages, instances, token)
        except ApiError as error:
            said = f"the application's own page cannot be read from here: {error}; its token is ${TOKEN}"
            yield Finding("unseen", said)


def _sending(window: Window) -> list[str]:
    """The instances that send now; those that ended linger for five minutes."""
    found = window.raw(f"{HEARTBEAT}{{{window.of_services}}}")
    limits = window.limits
    return sorted(
        one.labels.get(INSTANCE, "")
        for one in found
        if window.end - one.points[-1][0]
        <= max(
            limits.gap_intervals * interval([at for at, _ in one.points], USUAL_SECONDS),
            limits.gap_seconds,
        )
    )


def _compared(window: Window, pages: list[str], instances: list[str], token: str) -> Finding:
    counted = _on_pages(pages, token)
    seen = _in_prometheus(window, instances)
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while _short(counted, seen) and time.monotonic() < give_up:
        time.sleep(_POLL_SECONDS)
        seen = _in_prometheus(window, instances)
    after = _on_pages(pages, token)
    wrong = [f"{name}: Prometheus has {number(seen.get(name, 0))} of {number(counted[name])}"
             for name in _short(counted, seen)]  # fmt: skip
    wrong += [
        f"{name}: Prometheus has {number(seen[name])}, the application {number(after[name])}"
        for name in sorted(after)
        if seen.get(name, 0) > after[name]
    ]
    if wrong:
        return Finding("failed", f"not what the application counted: {'; '.join(wrong)}")
    requests = m.HTTP_REQUESTS_TOTAL.name
    said = f"{len(after)} totals are what the application counted"
    if requests in seen:
        said += f", e.g. {number(seen[requests])} requests"
    return judged(failed=not after, said=said)


def _short(counted: Mapping[str, float], seen: Mapping[str, float]) -> list[str]:
    return [name for name in sorted(counted) if seen.get(name, 0.0) < counted[name]]


def _on_pages(pages: list[str], token: str) -> dict[str, float]:
    shown = [exposed(page, token) for page in pages]
    return {
        name: sum(total(one, name) for one in shown)
        for name in _NAMES
        if any(name in one for one in shown)
    }


def _in_prometheus(window: Window, instances: list[str]) -> dict[str, float]:
    names = quoted("|".join(_NAMES))
    among = quoted("|".join(instances))
    where = f"__name__=~{names}, {window.of_services}, {INSTANCE}=~{among}"
    found = window.prometheus.query(f"sum by (__name__) ({{{where}}})")
    return {one.labels["__name__"]: one.value for one in found}


def _among_themselves(window: Window) -> Iterator[Finding]:
    """Requests are counted in two ways, by code of its own each."""
    requests, durations = m.HTTP_REQUESTS_TOTAL.name, m.HTTP_REQUEST_DURATION_MS.name
    for job in window.jobs:
        where = f"{{{SERVICE}={quoted(job)}}}"
        both = [window.at_end(f"sum({name}{where})") for name in (requests, f"{durations}_count")]
        if not both[0] or not both[1]:
            yield Finding("unseen", f"{job}: no requests and durations to compare")
            continue
        one, other = both[0][0].value, both[1][0].value
        # Those under way have been counted and have no duration yet.
        allowed = max(window.limits.unequal_share * one, window.limits.missing_points)
        said = f"{job}: {number(one)} requests, {number(other)} durations of requests"
        yield judged(failed=abs(one - other) > allowed, said=said)
