"""Streams of points under which an alert's condition is met, or not, by its own words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from otel_accubooks.contract.alert import Alert, Condition
from otel_accubooks.contract.evaluation import Recorded, Row
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import (
    Growth,
    Last,
    Present,
    Quantile,
    Query,
    Quotient,
    Reachable,
    Series,
    Share,
    series_of,
)

STEP = 15.0
# Points come so long after an evaluation.
PHASE = 5.0
# How far a bad value is above its threshold, and a good one below.
MARGIN = 1.25

Key = tuple[str, tuple[tuple[str, str], ...]]


class Stream:
    """A service that grows by steps. `instances` are its hosts, each with an equal part."""

    def __init__(self, instances: int = 1) -> None:
        self.recorded = Recorded()
        self.instances = instances
        self._rows: dict[tuple[Key, int], list[float]] = {}
        self.now = PHASE

    def step(self, alert: Alert, *, bad: bool, number: int = 0) -> None:
        """Fifteen seconds in which the condition `number` is met if `bad`, and no other."""
        for index, condition in enumerate(alert.conditions):
            self._feed(condition, bad=bad and index == number)
        if alert.guard is not None:
            for series in alert.guard.growth.of:
                self._grow(series, [0.0])
        if any(isinstance(c.query, Reachable) for c in alert.conditions) and bad:
            self.recorded.unreachable.append((self.now, self.now + STEP))
        query = alert.conditions[number].query
        silent = query.of.metric if bad and isinstance(query, Present) else None
        for (key, instance), row in self._rows.items():
            metric, labels = key
            if metric == silent:
                continue
            self.recorded.add(metric, self.now, tuple(row), **dict(labels), instance=str(instance))
        self.now += STEP

    def begin_anew(self) -> None:
        """Every process starts again: counters are 0."""
        for (key, _), row in self._rows.items():
            if _metric(key[0]).type != "gauge":
                row[:] = [0.0] * len(row)

    def _feed(self, condition: Condition, *, bad: bool) -> None:
        above = bad is (condition.comparison == ">")
        level = condition.threshold * (MARGIN if above else 1 / MARGIN)
        if condition.comparison == "==":
            level = condition.threshold if bad else condition.threshold + 1
        elif not condition.threshold:
            level = float(above)
        self._reach(condition.query, level)

    def _reach(self, query: Query, level: float) -> None:
        if isinstance(query, Growth):
            seconds = query.window if query.per is None else query.per
            self._grow(query.of[0], [level * STEP / seconds])
        elif isinstance(query, Share):
            others = [series for series in query.whole if series != query.part]
            self._grow(query.part, [level])
            self._grow(others[0], [100 - level])
        elif isinstance(query, Last):
            self._set(query.of, level / query.scale)
        elif isinstance(query, Present):
            self._set(query.of, 1.0)
        elif isinstance(query, Quantile):
            bounds = _metric(query.of.metric).buckets
            place = next(i for i, bound in enumerate((*bounds, float("inf"))) if bound >= level)
            row = [0.0] * (2 + len(bounds))
            row[1 + place] = 20.0
            self._grow(query.of, row)
        elif isinstance(query, Quotient) and isinstance(query.dividend, Last):
            assert isinstance(query.divisor, Last)
            self._set(query.dividend.of, level / query.scale)
            self._set(query.divisor.of, 1.0)
        elif isinstance(query, Quotient):
            # The latest mean over a mean of before: 100 ms at first, then as much as is asked for.
            (latest,) = set(series_of(query.dividend))
            row = [0.0] * (2 + len(_metric(latest.metric).buckets))
            row[0], row[1] = 100.0 * (4 * level if level > 1.5 else 1.0), 1.0
            self._grow(latest, row)

    def _grow(self, series: Series, by: list[float]) -> None:
        for key, instance in self._keys(series):
            row = self._rows.setdefault((key, instance), [0.0] * len(by))
            for place, value in enumerate(by):
                row[place] += value / self.instances

    def _set(self, series: Series, value: float) -> None:
        metric = _metric(series.metric)
        part = value / self.instances if metric.hosts == "sum" else value
        for key, instance in self._keys(series):
            self._rows[key, instance] = [part]

    def _keys(self, series: Series) -> Iterator[tuple[Key, int]]:
        labels = {
            label.name: (label.values or ("some",))[0] for label in _metric(series.metric).labels
        }
        labels["status_code"] = "200" if "status_code" in labels else ""
        for where in series.where:
            labels[where.label] = f"{where.value}03" if where.prefix else where.value
        kept = tuple(sorted((name, value) for name, value in labels.items() if value))
        yield from product([(series.metric, kept)], range(self.instances))


def _metric(name: str) -> Metric:
    return BY_NAME.get(name) or PIPELINE[name]


def samples(
    recorded: Recorded, *, total: bool = False
) -> Iterator[tuple[str, dict[str, str], list[tuple[float, float]]]]:
    """Name, labels and (time, value) of each Prometheus series that the points make.

    With `total`, counters of the pipeline have the suffix that some versions of the collector add.
    """
    for (name, items), points in recorded.points.items():
        metric, labels = _metric(name), {"job": "shop/accubooks", **dict(items)}
        if metric.type != "histogram":
            suffix = "_total" if total and name in PIPELINE and metric.type == "counter" else ""
            yield name + suffix, labels, [(time, row[0]) for time, row in points]
            continue
        yield f"{name}_sum", labels, [(time, row[0]) for time, row in points]
        yield f"{name}_count", labels, [(time, sum(row[1:])) for time, row in points]
        for place, bound in enumerate([*(f"{b:g}" for b in metric.buckets), "+Inf"]):
            counted = [(time, _up_to(row, place)) for time, row in points]
            yield f"{name}_bucket", {**labels, "le": bound}, counted


def _up_to(row: Row, place: int) -> float:
    return sum(row[1 : place + 2])
