"""What arrived: each metric of the contract in each backend, side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.prometheus import Prometheus

_SAME = 1e-9

Read = Callable[[Metric], "float | None"]


def in_prometheus(server: Prometheus) -> Read:
    """Reads a metric from Prometheus: all its series added up; a histogram's count."""

    def read(metric: Metric) -> float | None:
        name = f"{metric.name}_count" if metric.type == "histogram" else metric.name
        found = server.query(name)
        return math.fsum(value for _, value in found) if found else None

    return read


def in_datadog(intake: DatadogIntake) -> Read:
    """Reads a metric from the intake, in the same way.

    Points that Datadog would overwrite, since it keeps one for each second, are left out of a sum
    by making it not a number: such a metric never compares equal.
    """

    def read(metric: Metric) -> float | None:
        if metric.type == "histogram":
            distributions = intake.distributions(metric.name)
            return float(sum(d.count for d in distributions)) if distributions else None
        series = intake.series(metric.name)
        if metric.type == "counter" and any(s.overwritten for s in series):
            return math.nan
        return math.fsum(s.value for s in series) if series else None

    return read


@dataclass
class Row:
    """One metric: its value in each backend, None where it did not arrive.

    `done` is what the metric has to say, where whoever made the traffic knows.
    """

    metric: Metric
    done: float | None = None
    values: dict[str, float | None] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """The backends in which it did not arrive."""
        return [name for name, value in self.values.items() if value is None]

    @property
    def difference(self) -> float | None:
        """Between the highest and the lowest of them all; None where a backend has nothing."""
        there = [v for v in (self.done, *self.values.values()) if v is not None]
        if any(map(math.isnan, there)):
            return math.nan
        return None if self.missing or not self.values else max(there) - min(there)

    @property
    def ok(self) -> bool:
        """True if it arrived everywhere, the same, and as many as were done."""
        found = self.difference
        largest = max((abs(v) for v in self.values.values() if v is not None), default=0.0)
        return found is not None and found <= _SAME * max(1.0, largest)


def compare(
    readers: dict[str, Read],
    done: Mapping[str, float],
    seconds: float,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[Row]:
    """Reads every metric of the contract until it was seen right in all backends, `seconds` at most.

    A gauge moves between two exports, so that each row stays as it was when it was right.
    """
    rows = {metric.name: Row(metric, done.get(metric.name)) for metric in METRICS}
    give_up = time.monotonic() + seconds
    while True:
        for row in rows.values():
            if not row.ok:
                row.values = {name: read(row.metric) for name, read in readers.items()}
        on_progress(sum(row.ok for row in rows.values()))
        if all(row.ok for row in rows.values()) or time.monotonic() > give_up:
            return list(rows.values())
        time.sleep(0.3)
