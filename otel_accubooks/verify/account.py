"""What is looked at in a vendor's account, whichever vendor it is, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

from otel_accubooks.apply.change import Change
from otel_accubooks.contract.alert import Severity
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.checklist import LookName
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.contract.query import HOUR
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.vendors.prometheus_rules import rules
from otel_accubooks.verify import dashboards
from otel_accubooks.verify.alertmanagers import look_at_telling
from otel_accubooks.verify.finding import Finding
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.metrics import GROUPS, RARE
from otel_accubooks.verify.rules import differences
from otel_accubooks.verify.source import GAP_TOLERANCE, INTERVAL_SECONDS, Source
from otel_accubooks.verify.trying import GIVES as TRIED
from otel_accubooks.verify.way import Site

SEVERITIES: tuple[Severity, ...] = ("P0", "P1", "P2", "P3", "none")
# A vendor needs a minute more until it shows what came.
FRESH_SECONDS = 120.0
# A count of which nothing is added is not always sent.
COUNTED_SECONDS = HOUR
SPACING_MINUTES = 10
DAYS = 30
ALERT_NAMES: tuple[LookName, ...] = tuple(
    cast(LookName, f"alerts {severity}") for severity in SEVERITIES
)
# Everything but the test alert and where it arrives.
GIVES: tuple[LookName, ...] = (
    "backend", "interval", *GROUPS, *dashboards.GIVES,
    *ALERT_NAMES,
    "recordings", "calm", "told", "retention", "pair", "heartbeat", "standby",
)  # fmt: skip
assert not set(GIVES) & set(TRIED)


@dataclass
class Seen:
    """What was found out so far of an account, for the looks that come later.

    `service` is as the vendor has it; `ages` are seconds since the newest point by metric, of those
    that have one in the last hour.
    """

    vendor: str
    bring: str
    service: str = ""
    ages: dict[str, float] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def old(self, board: Dashboard) -> list[str]:
        """A line for each metric of a dashboard that came too long ago."""
        by_name = {metric.name: metric for metric in METRICS}
        return [
            f"{name}: newest point {self.ages[name]:.0f} s ago"
            for name in dashboards.metrics_of(board)
            if name in self.ages and abs(self.ages[name]) > _oldest(by_name[name])
        ]


# A part of the looks: what it gives, and how.
Part = tuple[tuple[LookName, ...], Callable[[], Iterable[Look]]]


def looks(vendor: str, parts: Iterable[Part]) -> Iterator[Look]:
    """Those of all parts, one after the other; a part that cannot be asked for has failed.

    Without the first, which says whether the account answers at all, the others are not asked for.
    """
    stopped = ""
    for place, (names, part) in enumerate(parts):
        missing = dict.fromkeys(names)
        try:
            for look in () if stopped else part():
                missing.pop(cast(LookName, look.name), None)
                yield look
        except (ApiError, ValueError) as error:
            said = f"{vendor}: {error}"
            yield from (Look(name, "failed", said) for name in missing)
            missing.clear()
            stopped = stopped or ("" if place else said)
        yield from (Look(name, "failed", stopped or f"{vendor}: nobody looked") for name in missing)


def metric_looks(seen: Seen) -> Iterator[Look]:
    """One for each group of metrics."""
    for group in GROUPS:
        finding = Finding(group)
        metrics = [metric for metric in METRICS if f"metrics {metric.group}" == group]
        for metric in metrics:
            _look_at_metric(metric, seen, finding)
        yield finding.look(f"{len(metrics)} of {len(metrics)} metrics of {seen.service} are there")


def _look_at_metric(metric: Metric, seen: Seen, finding: Finding) -> None:
    age = seen.ages.get(metric.name)
    if age is None and metric.name in RARE:
        finding.doubts.append(f"{metric.name}: no points in the last hour: did it never happen?")
    elif age is None:
        finding.faults.append(
            f"{metric.name}: no points of {seen.service} in the last hour: is the application used,"
            " and does the gateway bring it here? See `otel-accubooks doctor`"
        )
    elif abs(age) > _oldest(metric):
        finding.faults.append(
            f"{metric.name}: the newest point is {age:.0f} s old, expected at most"
            f" {_oldest(metric):.0f}: does it still come through the gateway?"
        )
    else:
        finding.evidence.append(f"{metric.name}: the newest point is {age:.0f} s old")


def _oldest(metric: Metric) -> float:
    return FRESH_SECONDS if metric.type == "gauge" else COUNTED_SECONDS


def interval_look(seen: Seen, points: Mapping[str, Sequence[float]]) -> Look:
    """`points` are how many came in each of the last minutes, by who sent them."""
    finding = Finding("interval")
    if not points:
        finding.faults.append(f"{seen.vendor} has no points of {seen.service}: does it send?")
    for sender, counts in points.items():
        total = sum(counts)
        spacing = 60 * len(counts) / total if total else 0.0
        told = ", ".join(f"{count:g}" for count in counts)
        finding.evidence.append(f"{sender}: {told} points a minute, one every {spacing:.1f} s")
        if gaps := sum(not count for count in counts):
            finding.faults.append(
                f"{sender}: no points in {gaps} of {len(counts)} minutes: is the gateway reached all"
                " the time, and does it send on?"
            )
        elif spacing > INTERVAL_SECONDS * (1 + GAP_TOLERANCE):
            finding.faults.append(
                f"{sender}: a point every {spacing:.1f} s, expected {INTERVAL_SECONDS:.0f} s: set"
                f" OTEL_METRIC_EXPORT_INTERVAL={1000 * INTERVAL_SECONDS:.0f}"
            )
    return finding.look(f"points come every {INTERVAL_SECONDS:.0f} s or sooner, without gaps")


def created_look(seen: Seen, board: Dashboard, name: str) -> Look:
    """That a dashboard, called `name` among the changes, is there as the contract has it."""
    (change,) = (one for one in seen.changes if (one.kind, one.name) == ("dashboard", name))
    finding = Finding(dashboards.created(board))
    if change.action == "create":
        finding.faults.append(f"{seen.vendor} has no {board.title}: bring it with {seen.bring}")
    elif change.action != "keep":
        finding.faults.append(
            f"{seen.vendor}: {board.title} is not as the contract has it: bring it with {seen.bring}"
        )
        finding.evidence += change.difference
    return finding.look(f"{seen.vendor}: {board.title} is as the contract has it")


def alert_looks(
    seen: Seen, faults: Mapping[str, Sequence[str]], evidence: Mapping[str, Sequence[str]]
) -> Iterator[Look]:
    """One for each severity; `faults` and `evidence` are lines by the name of the alert."""
    for severity in SEVERITIES:
        finding = Finding(cast(LookName, f"alerts {severity}"))
        alerts = [alert for alert in ALERTS if alert.severity == severity]
        for alert in alerts:
            finding.faults += faults.get(alert.name, ())
            finding.evidence += evidence.get(alert.name, ()) or (f"{alert.name}: nothing there",)
            if not evidence.get(alert.name) and not faults.get(alert.name):
                finding.faults.append(f"{alert.name} is not there: bring it with {seen.bring}")
        yield finding.look(f"{len(alerts)} alerts are as the contract has them, and not muted")


def change_fault(seen: Seen, change: Change) -> str:
    """What is wrong where something would have to be changed; empty where nothing would."""
    what = {
        "create": "is not there",
        "update": "is not as the contract has it",
        "delete": "is no longer in the contract",
    }
    if change.action == "keep":
        return ""
    differs = [line for line in change.difference if line[:1] in "+-"]
    told = f" ({'; '.join(' '.join(line.split()) for line in differs[:2])})" if differs else ""
    shown = told if change.action == "update" else ""
    return f"{change.kind} {change.name} {what[change.action]}{shown}: bring it with {seen.bring}"


def retention_look(seen: Seen, points: float, documented: str) -> Look:
    """`points` is how many there are of 30 days ago and before."""
    finding = Finding("retention")
    finding.evidence.append(
        f"{points:g} points of {seen.service} from {DAYS} to {DAYS + 1} days ago"
    )
    if not points:
        finding.doubts.append(
            f"{seen.vendor} has nothing that is {DAYS} days old of {seen.service}, which proves neither"
            f" way for one that is newer; {seen.vendor} documents {documented}: confirm that the"
            " account's plan has it"
        )
    return finding.look(f"{seen.vendor} has points that are {DAYS} days old")


def refresh_look(seen: Seen, name: LookName = "refresh") -> Look:
    """Where the vendor alone decides how often a dashboard is drawn anew."""
    told = ", ".join(f"{board.title} every {board.refresh:g} s" for board in DASHBOARDS)
    said = (
        f"{seen.vendor} decides itself how often it draws a dashboard anew, by the time that is shown:"
        f" confirm that this suits ({told})"
    )
    return Look(name, "unseen", said)


def second_backend(site: Site) -> Iterator[Look]:
    """A Prometheus beside the vendor, with the contract's rules, that tells people of alerts too."""
    pair, standby = Finding("pair"), Finding("standby")
    if not site.servers.standby:
        fix = (
            "start a Prometheus with rendered/prometheus (docs/redundancy.md), name it by --standby"
        )
        pair.faults.append(f"the vendor alone tells people of alerts, expected two who do: {fix}")
        standby.faults.append(f"no second backend is known: {fix}")
        yield from (pair.look(""), standby.look(""))
        return
    with closing(Prometheus(site.servers.standby)) as second:
        try:
            source = Source(second, site.servers.service)
            if source.fault:
                standby.faults.append(f"{second.address}: {source.fault}")
            else:
                ages = second.query(dashboards.ages(DASHBOARDS[1], source.job))
                found = {one.labels["metric"]: one.value for one in ages}
                standby.faults += dashboards.stale(DASHBOARDS[1], found)
            for rule in differences(second, rules(site.to.runbooks)["groups"]).values():
                standby.faults += rule.faults
                standby.evidence.append(f"{len(rule.evidence)} {rule.name}")
            look_at_telling(second, site, pair)
        except ApiError as error:
            standby.faults.append(str(error))
            pair.faults.append(str(error))
    yield pair.look(f"{site.servers.standby} tells people of alerts, beside the vendor")
    yield standby.look(f"{site.servers.standby} has the contract's rules, and data of now")
