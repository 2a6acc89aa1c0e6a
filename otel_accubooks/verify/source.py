"""Points of one service, as a Prometheus holds them."""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.servers.prometheus import Prometheus, Sample
from otel_accubooks.vendors.promql import SERVICE, quoted

INTERVAL_SECONDS = 15.0
# Four intervals: one point may be late, and one lost on the way to be sent again.
FRESH_SECONDS = 60.0
# A machine under load sends late now and then; half of the gaps tell the interval.
GAP_TOLERANCE = 0.2
UPTIME = m.SYSTEM_UPTIME_SECONDS.name


class Source:
    """What the Prometheus `client` holds of the service `job`; "" where it holds of none.

    `now` is its clock. `others` are services that send metrics of the contract too.
    """

    def __init__(self, client: Prometheus, service: str) -> None:
        self.client = client
        self.now = clock(client)
        found = sorted({one.labels.get(SERVICE, "") for one in client.query(_ANY)} - {""})
        named = [job for job in found if job == service or job.endswith(f"/{service}")]
        self.job = (named or [""])[0] if service else found[0] if len(found) == 1 else ""
        self.service = service
        self.others = [job for job in found if job != self.job]

    @property
    def fault(self) -> str:
        """Why there is no `job`, and what to do; "" where there is one."""
        if self.job:
            return ""
        if not self.others:
            return "no metric of the contract is there; is the application sending, and to here?"
        told = ", ".join(self.others)
        if self.service:
            return (
                f"nothing of the service {self.service!r} is there, but of {told}: "
                "is OTEL_SERVICE_NAME of the application the one that --service says?"
            )
        return f"several services send here, {told}: name one by --service"

    def points(self, names: str, seconds: float) -> list[Sample]:
        """Every point of the last `seconds` of the series whose name matches, as it was stored."""
        service = f", {SERVICE}={quoted(self.job)}" if self.job else ""
        return self.client.query(f"{{__name__=~{quoted(names)}{service}}}[{seconds:.0f}s]")


@dataclass(frozen=True)
class Spacing:
    """How far apart the points of a series are, and how old the newest is, in seconds."""

    typical: float
    widest: float
    age: float
    points: int


def spacing(sample: Sample, now: float) -> Spacing | None:
    """None where there are fewer than three points."""
    times = [t for t, _ in sample.points]
    if len(times) < 3:
        return None
    gaps = [after - before for before, after in itertools.pairwise(times)]
    return Spacing(statistics.median(gaps), max(gaps), now - times[-1], len(times))


def clock(client: Prometheus) -> float:
    """What time it is there, in Unix seconds."""
    return client.query("vector(time())")[0].value


def apart(client: Prometheus) -> float:
    """Seconds by which its clock is ahead of ours; by how long it took to answer, it is not known."""
    before = time.time()
    there = clock(client)
    after = time.time()
    return 0.0 if before - 1 <= there <= after + 1 else there - (before + after) / 2


def names(metric: Metric) -> tuple[str, ...]:
    """The names that its series have in Prometheus."""
    if metric.type != "histogram":
        return (metric.name,)
    return tuple(f"{metric.name}_{part}" for part in ("bucket", "sum", "count"))


_EVERY = "|".join(name for metric in METRICS for name in names(metric))
_ANY = f"count by ({SERVICE}) ({{__name__=~{quoted(_EVERY)}}})"
