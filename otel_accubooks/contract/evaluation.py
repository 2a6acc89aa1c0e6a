"""The reference: what queries and alerts mean, computed over recorded points of one service.

Written to be read, not to be fast. Backends are compared with it.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from otel_accubooks.contract.alert import Alert, Comparison, Condition
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import (
    Always,
    Growth,
    Last,
    Mean,
    Peak,
    Present,
    Quantile,
    Query,
    Quotient,
    Reachable,
    Series,
    Share,
)

GONE_SECONDS = 300.0

_ACROSS: dict[str, Callable[[list[float]], float]] = {"sum": sum, "min": min}
_HOLDS: dict[Comparison, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}

Labels = tuple[str, ...]
Answer = dict[Labels, float]
Row = tuple[float, ...]  # of a counter or gauge its value; of a histogram its sum, then its buckets


@dataclass(eq=False)
class Recorded:
    """Points by series (metric, labels with `instance`), each a time in seconds and a row.

    `unreachable` holds the spans of time (from, to) in which the service did not answer.
    """

    points: dict[tuple[str, frozenset[tuple[str, str]]], list[tuple[float, Row]]] = field(
        default_factory=dict
    )
    unreachable: list[tuple[float, float]] = field(default_factory=list)

    def add(self, metric: str, time: float, row: Row, **labels: str) -> None:
        """Adds a point; those of one series in the order of time."""
        key = metric, frozenset({"instance": "1", **labels}.items())
        self.points.setdefault(key, []).append((time, row))

    def of(self, series: Series) -> Iterator[tuple[dict[str, str], list[tuple[float, Row]]]]:
        """Labels and points of each series that `series` selects."""
        for (metric, items), points in self.points.items():
            labels = dict(items)
            if metric == series.metric and all(
                labels.get(where.label, "").startswith(where.value)
                if where.prefix
                else labels.get(where.label) == where.value
                for where in series.where
            ):
                yield labels, points


def evaluate(query: Query, recorded: Recorded, now: float) -> Answer:
    """The answer at `now`, for each group of label values; empty where there is no data."""
    meaning: dict[type, Callable[..., Answer]] = {
        Growth: _growth,
        Share: _share,
        Last: _last,
        Peak: _peak,
        Quantile: _quantile,
        Mean: _mean,
        Quotient: _quotient,
        Present: _present,
        Reachable: _reachable,
        Always: lambda *_: {(): 1.0},
    }
    return meaning[type(query)](query, recorded, now)


def _grown(
    series: Series, recorded: Recorded, now: float, window: float, by: Labels
) -> dict[Labels, list[float]]:
    """Growth of each place of the rows, added up by group."""
    groups: dict[Labels, list[float]] = {}
    for labels, points in recorded.of(series):
        begin = bisect_right(points, now - window, key=operator.itemgetter(0))
        rows = [
            row for _, row in points[begin : bisect_right(points, now, key=operator.itemgetter(0))]
        ]
        if not rows:
            continue
        group = groups.setdefault(tuple(labels.get(n, "") for n in by), [0.0] * len(rows[0]))
        rows.insert(0, points[begin - 1][1] if begin else (0.0,) * len(group))
        grown = list(map(operator.sub, rows[-1], rows[0]))
        for old, new in pairwise(rows):
            if any(map(operator.lt, new, old)):  # It began anew, and had grown to `old` before.
                grown = list(map(operator.add, grown, old))
        group[:] = map(operator.add, group, grown)
    return groups


def _sum(
    of: tuple[Series, ...], recorded: Recorded, now: float, window: float, by: Labels
) -> Answer:
    total: Answer = {}
    for series in of:
        for group, row in _grown(series, recorded, now, window, by).items():
            total[group] = total.get(group, 0.0) + row[0]
    return total


def _growth(query: Growth, recorded: Recorded, now: float) -> Answer:
    factor = 1.0 if query.per is None else query.per / query.window
    grown = _sum(query.of, recorded, now, query.window, query.by)
    return {group: factor * value for group, value in grown.items()}


def _share(query: Share, recorded: Recorded, now: float) -> Answer:
    part = _sum((query.part,), recorded, now, query.window, query.by)
    whole = _sum(query.whole, recorded, now, query.window, query.by)
    return {g: 100.0 * part.get(g, 0.0) / value for g, value in whole.items() if value > 0}


def _last(query: Last, recorded: Recorded, now: float) -> Answer:
    across = _ACROSS.get(_metric(query.of).hosts or "", max)
    groups: dict[Labels, list[float]] = {}
    for labels, points in recorded.of(query.of):
        known = bisect_right(points, now, key=operator.itemgetter(0))
        if known and points[known - 1][0] > now - GONE_SECONDS:
            group = tuple(labels.get(n, "") for n in query.by)
            groups.setdefault(group, []).append(points[known - 1][1][0])
    return {group: query.scale * across(values) for group, values in groups.items()}


def _peak(query: Peak, recorded: Recorded, now: float) -> Answer:
    begin = now - query.window
    # It changes where a point comes, and where a series is gone.
    changes = {
        time + later
        for _, points in recorded.of(query.of.of)
        for time, _ in points
        for later in (0.0, GONE_SECONDS)
    }
    times = {begin, now} | {time for time in changes if begin < time <= now}
    peak: Answer = {}
    for time in times:
        for group, value in _last(query.of, recorded, time).items():
            peak[group] = max(value, peak.get(group, value))
    return peak


def _quantile(query: Quantile, recorded: Recorded, now: float) -> Answer:
    bounds = _metric(query.of).buckets
    grown = _grown(query.of, recorded, now, query.window, query.by)
    return {
        group: _interpolated(query.q, bounds, row[1:])
        for group, row in grown.items()
        if sum(row[1:]) > 0
    }


def _interpolated(q: float, bounds: tuple[float, ...], counts: list[float]) -> float:
    cumulative = list(accumulate(counts))
    rank = q * cumulative[-1]
    bucket = next(i for i, count in enumerate(cumulative) if count >= rank)
    if bucket == len(bounds):
        return bounds[-1]
    low = bounds[bucket - 1] if bucket else 0.0
    if not counts[bucket]:
        return low
    below = cumulative[bucket - 1] if bucket else 0.0
    return low + (bounds[bucket] - low) * (rank - below) / counts[bucket]


def _mean(query: Mean, recorded: Recorded, now: float) -> Answer:
    grown = _grown(query.of, recorded, now, query.window, query.by)
    return {g: row[0] / sum(row[1:]) for g, row in grown.items() if sum(row[1:]) > 0}


def _quotient(query: Quotient, recorded: Recorded, now: float) -> Answer:
    dividend = evaluate(query.dividend, recorded, now)
    divisor = evaluate(query.divisor, recorded, now)
    return {
        group: query.scale * value / divisor[group]
        for group, value in dividend.items()
        if divisor.get(group)
    }


def _present(query: Present, recorded: Recorded, now: float) -> Answer:
    seen = [
        points[known - 1][0]
        for _, points in recorded.of(query.of)
        if (known := bisect_right(points, now, key=operator.itemgetter(0)))
    ]
    newest = max(seen, default=now - query.known)
    return {(): float(newest > now - GONE_SECONDS)} if newest > now - query.known else {}


def _reachable(_: Reachable, recorded: Recorded, now: float) -> Answer:
    return {(): float(not any(begin <= now < end for begin, end in recorded.unreachable))}


def _metric(series: Series) -> Metric:
    return BY_NAME.get(series.metric) or PIPELINE[series.metric]


def holds(condition: Condition, value: float) -> bool:
    """Whether the condition holds of one group's value."""
    return _HOLDS[condition.comparison](value, condition.threshold)


class Watch:
    """One alert, evaluated again and again: from when on each of its conditions held."""

    def __init__(self, alert: Alert) -> None:
        self._alert = alert
        self._since: dict[tuple[int, Labels], float] = {}

    def fires(self, recorded: Recorded, now: float) -> bool:
        """Evaluates at `now`; True once a condition has held for the alert's time."""
        held = {
            (number, group): self._since.get((number, group), now)
            for number, condition in enumerate(self._alert.conditions)
            for group in self._met(condition, recorded, now)
        }
        self._since = held
        return any(now - since >= self._alert.hold for since in held.values())

    def _met(self, condition: Condition, recorded: Recorded, now: float) -> list[Labels]:
        guard = self._alert.guard
        if guard is not None:
            growth = evaluate(guard.growth, recorded, now).get((), 0.0)
            if growth < guard.least:
                return []
        answer = evaluate(condition.query, recorded, now)
        return [group for group, value in answer.items() if holds(condition, value)]
