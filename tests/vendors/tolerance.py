"""How far Prometheus' answer may be from the contract's: lowest and highest value of each group.

All is exact up to rounding, but for two estimates. A counter that began anew between two points of
the window: increase() sees what it grew between the first and the last point there, and extrapolates
that to both sides, at most by 1.1 mean distances of points and at most to the whole window. A peak:
Prometheus looks every 15 s, from up to 15 s after the window's begin until up to 15 s before its end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import itemgetter, lt

from otel_accubooks.contract.alert import Alert, Condition
from otel_accubooks.contract.evaluation import Labels, Recorded, Row, Watch, evaluate, holds
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.query import (
    Growth,
    Mean,
    Peak,
    Quantile,
    Query,
    Quotient,
    Series,
    Share,
    series_of,
)

ROUNDING = 1e-9
PEAK_STEP = 15.0
REACH = 1.1

Bounds = dict[Labels, tuple[float, float]]
Rows = dict[Labels, tuple[list[float], list[float]]]


@lru_cache(maxsize=1000)
def between(query: Query, recorded: Recorded, now: float) -> Bounds:
    """The bounds of each group that has an answer. The contract's own answer is within."""
    exact = evaluate(query, recorded, now)
    estimate: dict[type, Callable[..., Bounds]] = {
        Growth: _growth,
        Share: _share,
        Quantile: _quantile,
        Mean: _mean,
        Peak: _peak,
        Quotient: _quotient,
    }
    if not isinstance(query, (Growth, Share, Quantile, Mean, Peak, Quotient)):
        return {group: (value, value) for group, value in exact.items()}
    if not isinstance(query, (Peak, Quotient)) and not any(
        now - query.window < time <= now
        for series in series_of(query)
        for time in _restarts(series, recorded)
    ):
        return {group: _hull(value, (value, value)) for group, value in exact.items()}
    bounds = estimate[type(query)](query, recorded, now)
    return {g: _hull(value, bounds.get(g, (value, value))) for g, value in exact.items()}


@lru_cache(maxsize=1000)
def _restarts(series: Series, recorded: Recorded) -> list[float]:
    return [
        time
        for _, points in recorded.of(series)
        for (_, old), (time, new) in pairwise(points)
        if any(map(lt, new, old))
    ]


def _hull(value: float, bounds: tuple[float, float]) -> tuple[float, float]:
    off = ROUNDING * abs(value)
    return min(value, *bounds) - off, max(value, *bounds) + off


def _grown(
    of: tuple[Series, ...], recorded: Recorded, now: float, window: float, by: Labels
) -> Rows:
    groups: Rows = {}
    for series in of:
        for labels, points in recorded.of(series):
            begin = bisect_right(points, now - window, key=itemgetter(0))
            inside = points[begin : bisect_right(points, now, key=itemgetter(0))]
            if not inside:
                continue
            rows = [_as_sent(row) for _, row in inside]
            first = _as_sent(points[begin - 1][1]) if begin else (0.0,) * len(rows[0])
            group = tuple(labels.get(name, "") for name in by)
            low, high = groups.setdefault(group, ([0.0] * len(rows[0]), [0.0] * len(rows[0])))
            for place, start in enumerate(first):
                least = most = rows[-1][place] - (start if start <= rows[0][place] else 0.0)
                if any(new[place] < old[place] for old, new in pairwise(rows)):
                    least, most = _estimated(inside, rows, place, window)
                low[place] += least
                high[place] += most
    return groups


def _as_sent(row: Row) -> Row:
    """What Prometheus has of it: of a histogram its sum, and how many observations up to each bound."""
    return (row[0], *accumulate(row[1:]))


def _estimated(
    inside: list[tuple[float, Row]], rows: list[Row], place: int, window: float
) -> tuple[float, float]:
    """The least and the most that increase() may say. In a bucket that has soon overtaken what it was
    before, Prometheus does not see that the histogram began anew."""
    values = [row[place] for row in rows]
    grown = sum(new - old if new >= old else new for old, new in pairwise(values))
    span = inside[-1][0] - inside[0][0]
    reach = span + 2 * REACH * span / (len(inside) - 1)
    return grown, grown * min(window, reach) / span


def _ratio(above: Rows, below: Rows, scale: float = 1.0) -> Bounds:
    nothing = ([0.0], [0.0])
    return {
        group: (
            scale * above.get(group, nothing)[0][0] / high[0],
            scale * above.get(group, nothing)[1][0] / low[0] if low[0] else float("inf"),
        )
        for group, (low, high) in below.items()
        if high[0] > 0
    }


def _growth(query: Growth, recorded: Recorded, now: float) -> Bounds:
    factor = 1.0 if query.per is None else query.per / query.window
    rows = _grown(query.of, recorded, now, query.window, query.by)
    return {group: (factor * low[0], factor * high[0]) for group, (low, high) in rows.items()}


def _share(query: Share, recorded: Recorded, now: float) -> Bounds:
    part = _grown((query.part,), recorded, now, query.window, query.by)
    return _ratio(part, _grown(query.whole, recorded, now, query.window, query.by), 100.0)


def _mean(query: Mean, recorded: Recorded, now: float) -> Bounds:
    rows = _grown((query.of,), recorded, now, query.window, query.by)
    counts = {group: (low[-1:], high[-1:]) for group, (low, high) in rows.items()}
    return _ratio(rows, counts)


def _quantile(query: Quantile, recorded: Recorded, now: float) -> Bounds:
    rows = _grown((query.of,), recorded, now, query.window, query.by)
    bounds = BY_NAME[query.of.metric].buckets
    return {
        group: (
            _at(query.q, bounds, [count / low[-1] if low[-1] else 1.0 for count in high[1:]]),
            _at(query.q, bounds, [count / high[-1] for count in low[1:]]),
        )
        for group, (low, high) in rows.items()
        if high[-1]
    }


def _at(q: float, bounds: tuple[float, ...], shares: list[float]) -> float:
    """The quantile where so large a share of the observations is up to each bound."""
    place = next((i for i, share in enumerate(shares) if share >= q), len(bounds))
    if place == len(bounds):
        return bounds[-1]
    low, below = (bounds[place - 1], shares[place - 1]) if place else (0.0, 0.0)
    return low + (bounds[place] - low) * (q - below) / (shares[place] - below)


def _peak(query: Peak, recorded: Recorded, now: float) -> Bounds:
    inner = Peak(query.of, query.window - 2 * PEAK_STEP)
    seen = evaluate(inner, recorded, now - PEAK_STEP)
    return {group: (value, value) for group, value in seen.items()}


def _quotient(query: Quotient, recorded: Recorded, now: float) -> Bounds:
    above, below = between(query.dividend, recorded, now), between(query.divisor, recorded, now)
    return {
        group: (query.scale * low / below[group][1], query.scale * high / below[group][0])
        for group, (low, high) in above.items()
        if group in below and below[group][0] > 0
    }


class Bounded(Watch):
    """The same alert where Prometheus errs as far as it may, always towards firing, or away."""

    def __init__(self, alert: Alert, *, eager: bool) -> None:
        super().__init__(alert)
        self._eager = eager

    def _met(self, condition: Condition, recorded: Recorded, now: float) -> list[Labels]:
        guard = self._alert.guard
        if guard is not None:
            low, high = between(guard.growth, recorded, now).get((), (0.0, 0.0))
            if (high if self._eager else low) < guard.least:
                return []
        above = self._eager is (condition.comparison == ">")
        answer = between(condition.query, recorded, now)
        return [group for group, bounds in answer.items() if holds(condition, bounds[above])]
