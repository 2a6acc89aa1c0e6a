"""From what was seen to a report."""

from __future__ import annotations

from collections.abc import Callable

from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.servers.settings import Servers
from otel_accubooks.soak.accuracy import accuracy
from otel_accubooks.soak.arrival import arrival
from otel_accubooks.soak.baseline import Usual, baseline, conditions
from otel_accubooks.soak.errors import errors
from otel_accubooks.soak.found import Finding, Section
from otel_accubooks.soak.growth import growth
from otel_accubooks.soak.limits import Limits
from otel_accubooks.soak.noise import noise
from otel_accubooks.soak.overhead import overhead
from otel_accubooks.soak.report import Report
from otel_accubooks.soak.watch import Watch
from otel_accubooks.soak.window import Window, now

# Named, done so far, in all.
Step = Callable[[str, int, int], None]


def evaluate(servers: Servers, asked: float, watch: Watch | None, step: Step) -> Report:
    """The report on what `watch` saw, or on the `asked` seconds before now.

    Raises ApiError where Prometheus does not answer at all; a part of it that cannot be asked has
    failed, since nothing is assumed of it.
    """
    prometheus = watch.prometheus if watch else Prometheus(servers.prometheus)
    end = watch.end if watch else now(prometheus)
    start = watch.start if watch else end - asked
    window = Window(prometheus, start, end, Limits()).watching(servers.service)
    sections, usual = _parts(window, servers, watch, step)
    return Report(
        servers.prometheus,
        str(prometheus.runtime().get("startTime", "")),
        window.jobs,
        asked,
        start,
        end,
        watch is not None,
        window.limits,
        tuple(sections),
        tuple(usual),
    )


def _parts(
    window: Window, servers: Servers, watch: Watch | None, step: Step
) -> tuple[list[Section], list[Usual]]:
    looks = watch.looks if watch else []
    looks = [look for look in looks if (look.job, look.instance) in window.instances]
    prometheus = watch.pages_of(servers.prometheus) if watch else {}
    told = {
        address: read
        for one in servers.alertmanager
        for address, read in (watch.pages_of(one) if watch else {}).items()
    }
    parts: dict[str, Callable[[], Section]] = {
        "Gaps in series": lambda: arrival(window),
        "Memory": lambda: growth(window, looks),
        "Errors": lambda: errors(window, looks),
        "Overhead": lambda: overhead(window, looks),
        "Alert noise": lambda: noise(window, prometheus, told),
        "Metrics accuracy": lambda: accuracy(window),
    }
    total = len(parts) + len(conditions())
    sections = [_services(window, servers.service)]
    if watch and watch.findings():
        sections.append(Section("While it was watched", tuple(watch.findings())))
    for number, (name, part) in enumerate(parts.items()):
        step(name, number, total)
        sections.append(_carried_out(name, part))
    done = iter(range(len(parts) + 1, total + 1))
    try:
        usual = baseline(window, lambda: step("Baseline", next(done), total))
    except ApiError as error:
        usual = []
        sections.append(_refused("Baseline", error))
    return sections, usual


def _services(window: Window, service: str) -> Section:
    told = ", ".join(window.jobs)
    if window.jobs:
        return Section("Services", (Finding("passed", f"heard of: {told}"),))
    named = f" that calls itself {service}" if service else ""
    said = f"Prometheus has heard of no service{named}: is it started, and does it send?"
    return Section("Services", (Finding("failed", said),))


def _carried_out(name: str, part: Callable[[], Section]) -> Section:
    try:
        return part()
    except ApiError as error:
        return _refused(name, error)


def _refused(name: str, error: ApiError) -> Section:
    return Section(name, (Finding("failed", f"{name} could not be looked at: {error}"),))
