"""Robust statistics: what a few wild values do not change."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

Points = Sequence[tuple[float, float]]

_BINS = 120
# The standard deviation of normal values is so many times their median absolute deviation.
_SIGMA = 1.4826


def quantile(values: Sequence[float], q: float) -> float:
    """The value that the share `q` of the values does not exceed, interpolated. NaN without any."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    at = q * (len(ordered) - 1)
    below, above = ordered[math.floor(at)], ordered[math.ceil(at)]
    # Not the weighted sum, which leaves the range by a rounding error.
    return below + (above - below) * (at - math.floor(at))


def sigma(values: Sequence[float]) -> float:
    """The standard deviation, estimated by the median absolute deviation."""
    middle = statistics.median(values)
    return _SIGMA * statistics.median(abs(value - middle) for value in values)


def held(values: Points, seconds: float, *, highest: bool) -> list[float]:
    """What the values kept to for `seconds`: the least of each such stretch, where the `highest`
    are asked for, else the greatest. Values in order of time; none where there is no such stretch.
    """
    best = deque[tuple[float, float]]()
    result: list[float] = []
    for at, value in values:
        while best and ((best[-1][1] >= value) if highest else (best[-1][1] <= value)):
            best.pop()
        best.append((at, value))
        while best[0][0] < at - seconds:
            best.popleft()
        if at - seconds >= values[0][0]:
            result.append(best[0][1])
    return result


@dataclass(frozen=True)
class Trend:
    """How values moved: `level` at the beginning, `slope` and `late` (of the second half) a second.

    `grown` over the whole span; `tau` is Kendall's: 1 where each is higher than all before.
    """

    level: float
    slope: float
    late: float
    grown: float
    tau: float

    def keeps_growing(self, share: float, least: float, steadiness: float) -> bool:
        """True for more than `share` of the level and more than `least`, steadily, to the end."""
        enough = self.grown > max(share * self.level, least)
        return enough and self.tau >= steadiness and self.late > self.slope / 3


def trend(points: Points) -> Trend | None:
    """The trend of values over time by the estimator of Theil and Sen; None of fewer than 8.

    Source: Sen, Estimates of the regression coefficient based on Kendall's tau, 1968.
    """
    binned = _binned(points)
    if len(binned) < 8:
        return None
    slope, tau = _slope(binned)
    late, _ = _slope(binned[len(binned) // 2 :])
    began = binned[0][0]
    level = statistics.median(value - slope * (at - began) for at, value in binned)
    return Trend(level, slope, late, slope * (binned[-1][0] - began), tau)


def _binned(points: Points) -> list[tuple[float, float]]:
    """At most _BINS points, each the median of as many."""
    size = math.ceil(len(points) / _BINS) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [
        (statistics.median(at for at, _ in group), statistics.median(value for _, value in group))
        for group in groups
    ]


def _slope(points: Points) -> tuple[float, float]:
    slopes = [
        (later - earlier) / (then - at)
        for index, (at, earlier) in enumerate(points)
        for then, later in points[index + 1 :]
        if then > at
    ]
    if not slopes:
        return 0.0, 0.0
    signs = sum((slope > 0) - (slope < 0) for slope in slopes)
    return statistics.median(slopes), signs / len(slopes)
