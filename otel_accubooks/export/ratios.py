"""Percentages of a window, computed from the parts that the contract names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from otel_accubooks.contract.metric import Metric, Part
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.recorder.totals import Point, Totals

Labels = tuple[str, ...]
Parts = dict[Labels, tuple[float, float]]
Past = dict[str, list[tuple[float, Parts]]]
Series = dict[str, list[Point]]  # by the name of their metric

RATIOS = tuple(metric for metric in METRICS if metric.ratio is not None)
LOOKS = 60  # how many a window remembers at most, so it may be a sixtieth longer than it says


class Growth(NamedTuple):
    """By how much a part and its whole grew, in how many seconds."""

    part: float
    whole: float
    seconds: float


class Windows:
    """Remembers the parts of each ratio for as long as its window."""

    def __init__(self, past: Past | None = None, shared: Callable[[], Past] | None = None) -> None:
        """`past` is what a predecessor remembered. `shared` reads what another process remembers."""
        self.past: Past = past or {}
        self._shared = shared

    def percentages(self, totals: Totals, now: float) -> Iterator[Point]:
        """One point for each ratio of which a part was recorded; `now` is Unix seconds."""
        if self._shared is not None:
            self.past = {name: list(rows) for name, rows in self._shared().items()}
        series = totals.by_metric()
        for metric in RATIOS:
            assert metric.ratio is not None
            for labels, grown in self._look(metric, series, now).items():
                share = 100.0 * grown.part / grown.whole if grown.whole > 0 else metric.ratio.idle
                yield Point(metric, labels, value=share)

    def growth(self, metric: Metric, totals: Totals, now: float) -> Growth:
        """What a ratio without labels is the share of; `now` is Unix seconds."""
        return self._look(metric, totals.by_metric(), now).get((), Growth(0.0, 0.0, 0.0))

    def _look(self, metric: Metric, series: Series, now: float) -> dict[Labels, Growth]:
        assert metric.ratio is not None
        window = metric.ratio.window
        parts = _parts(metric, series)
        past = self.past.setdefault(metric.name, [])
        began = _began(metric, series)
        set_back = bool(past) and past[-1][0] > now
        if set_back:
            past.clear()  # the clock was: how long ago that is, is not known
        if not past and (set_back or began < now - window):
            # The first look at a service that is older: what it did before is not of the window.
            past.append((now - window, parts))
        if not past or now - past[-1][0] >= window / LOOKS:
            past.append((now, parts))
        while len(past) > 1 and past[1][0] <= now - window:
            past.pop(0)
        at, earlier = past[0] if now - past[0][0] >= window else (min(began, now), {})
        return {
            labels: Growth(part - part_then, whole - whole_then, now - at)
            for labels, (part, whole) in parts.items()
            for part_then, whole_then in [earlier.get(labels, (0.0, 0.0))]
        }


def _began(metric: Metric, series: Series) -> float:
    assert metric.ratio is not None
    names = {part.metric for part in metric.ratio.denominators}
    starts = (point.start for name in names for point in series.get(name, ()))
    return min(starts, default=float("inf"))


def _parts(metric: Metric, series: Series) -> Parts:
    assert metric.ratio is not None
    numerators = _sums(metric, metric.ratio.numerator, series)
    wholes: dict[Labels, float] = {}
    for part in metric.ratio.denominators:
        for labels, value in _sums(metric, part, series).items():
            wholes[labels] = wholes.get(labels, 0.0) + value
    return {labels: (numerators.get(labels, 0.0), whole) for labels, whole in wholes.items()}


def _sums(metric: Metric, part: Part, series: Series) -> dict[Labels, float]:
    sums: dict[Labels, float] = {}
    points = series.get(part.metric, ())
    if not points:
        return sums
    names = next(iter(points)).metric.label_names
    places = [names.index(name) for name in metric.label_names]
    kept = None if part.label is None else names.index(part.label)
    of_part = [
        point
        for point in points
        if not point.overflow and (kept is None or point.labels[kept].startswith(part.prefix))
    ]
    if not places:
        return {(): sum([point.value for point in of_part])} if of_part else sums
    for point in of_part:
        labels = tuple([point.labels[place] for place in places])
        sums[labels] = sums.get(labels, 0.0) + point.value
    return sums
