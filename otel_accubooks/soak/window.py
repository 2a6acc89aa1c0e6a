"""A stretch of Prometheus's time, and what can be asked of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.query import INSTANCE, WINDOW
from otel_accubooks.servers.prometheus import Prometheus, Sample
from otel_accubooks.soak.limits import Limits
from otel_accubooks.vendors.promql import SERVICE, quoted

# Prometheus answers with 11,000 points of a series at most.
_MOST_POINTS = 10_000
# As often as the contract has points come, and rules judged.
USUAL_SECONDS = 15.0


def now(prometheus: Prometheus) -> float:
    """Prometheus's clock, in Unix seconds."""
    return prometheus.query("vector(time())")[0].value


@dataclass(frozen=True)
class Window:
    """From `start` to `end` in Prometheus's Unix seconds; `jobs` are the services that are watched.

    `instances` are theirs: (service, instance). `others` are services that are not watched.
    """

    prometheus: Prometheus
    start: float
    end: float
    limits: Limits
    jobs: tuple[str, ...] = ()
    instances: frozenset[tuple[str, str]] = frozenset()
    others: frozenset[str] = frozenset()

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def whole_seconds(self) -> float:
        """For what counts in whole ones."""
        return float(max(round(self.seconds), 1))

    @property
    def services(self) -> str:
        """A regular expression for the watched services."""
        return "|".join(re.escape(job) for job in self.jobs)

    @property
    def of_services(self) -> str:
        """The matcher of the watched services."""
        return f"{SERVICE}=~{quoted(self.services)}"

    def raw(self, selector: str) -> list[Sample]:
        """Every point of these series, as it was stored."""
        return self.prometheus.query(f"{selector}[{round(self.seconds * 1000)}ms]", self.end)

    def at_end(self, promql: str) -> list[Sample]:
        """What an expression says at the end."""
        return self.prometheus.query(promql, self.end)

    def over(self, promql: str, step: float) -> list[Sample]:
        """What an expression said every `step` seconds, or less often in a long window."""
        step = max(step, self.seconds / _MOST_POINTS)
        return self.prometheus.query_range(promql, self.start, self.end, round(step, 3))

    def watching(self, service: str) -> Window:
        """The same, of the services that were heard in it or just before; `service` is one's name."""
        span = f"{round((self.seconds + WINDOW) * 1000)}ms"
        name = m.SYSTEM_UPTIME_SECONDS.name
        found = self.at_end(f"count by ({SERVICE}, {INSTANCE}) (last_over_time({name}[{span}]))")
        instances = {
            (job, one.labels.get(INSTANCE, ""))
            for one in found
            for job in [one.labels.get(SERVICE, "")]
            if not service or job == service or job.endswith(f"/{service}")
        }
        jobs = tuple(sorted({job for job, _ in instances}))
        others = frozenset(one.labels.get(SERVICE, "") for one in found) - {*jobs}
        return replace(self, jobs=jobs, instances=frozenset(instances), others=others)
