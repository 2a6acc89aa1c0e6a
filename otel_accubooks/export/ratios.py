"""Percentages of a window, computed from the parts that the contract names."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from otel_accubooks.contract.metric import Metric, Part
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.recorder.totals import Point, Totals

Labels = tuple[str, ...]
Parts = dict[Labels, tuple[float, float]]

RATIOS = tuple(metric for metric in METRICS if metric.ratio is not None)


class Windows:
    """Remembers the parts of each ratio for as long as its window."""

    def __init__(self) -> None:
        self._past: dict[str, deque[tuple[float, Parts]]] = {m.name: deque() for m in RATIOS}

    def percentages(self, totals: Totals, now: float) -> Iterator[Point]:
        """One point for each ratio of which a part was recorded; `now` is Unix seconds."""
        for metric in RATIOS:
            parts = _parts(metric, totals)
            past = self._past[metric.name]
            assert metric.ratio is not None
            if not past and _began(metric, totals) < now - metric.ratio.window:
                # The first look at a service that is older: what it did before is not of the window.
                past.append((now - metric.ratio.window, parts))
            past.append((now, parts))
            while len(past) > 1 and past[1][0] <= now - metric.ratio.window:
                past.popleft()
            earlier = past[0][1] if now - past[0][0] >= metric.ratio.window else {}
            for labels, (part, whole) in parts.items():
                part_then, whole_then = earlier.get(labels, (0.0, 0.0))
                grown = whole - whole_then
                value = 100.0 * (part - part_then) / grown if grown > 0 else metric.ratio.idle
                yield Point(metric, labels, value=value)


def _began(metric: Metric, totals: Totals) -> float:
    assert metric.ratio is not None
    names = {part.metric for part in metric.ratio.denominators}
    starts = (point.start for point in totals.points.values() if point.metric.name in names)
    return min(starts, default=float("inf"))


def _parts(metric: Metric, totals: Totals) -> Parts:
    assert metric.ratio is not None
    numerators = _sums(metric, metric.ratio.numerator, totals)
    wholes: dict[Labels, float] = {}
    for part in metric.ratio.denominators:
        for labels, value in _sums(metric, part, totals).items():
            wholes[labels] = wholes.get(labels, 0.0) + value
    return {labels: (numerators.get(labels, 0.0), whole) for labels, whole in wholes.items()}


def _sums(metric: Metric, part: Part, totals: Totals) -> dict[Labels, float]:
    sums: dict[Labels, float] = {}
    for point in totals.points.values():
        if point.metric.name != part.metric or point.overflow:
            continue
        of_point = dict(zip(point.metric.label_names, point.labels, strict=True))
        if part.label is None or of_point[part.label].startswith(part.prefix):
            labels = tuple(of_point[name] for name in metric.label_names)
            sums[labels] = sums.get(labels, 0.0) + point.value
    return sums
