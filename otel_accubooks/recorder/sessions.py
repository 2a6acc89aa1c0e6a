"""How long sessions lasted: those that are over, as a histogram."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from otel_accubooks.contract.metrics import USER_SESSION_DURATION_SECONDS as DURATION
from otel_accubooks.recorder import layout
from otel_accubooks.recorder.totals import Point, Totals
from otel_accubooks.recorder.visits import Sessions

_KEY = layout.make_key(DURATION.name, ()), False


def add_over(totals: Totals, found: dict[int, Sessions]) -> None:
    """Adds the sessions of `found` that are over to the histogram in `totals`."""
    over = [span for sessions in found.values() for span in sessions.over]
    if not over:
        return
    point = totals.points.get(_KEY)
    if point is None:
        start, counts = min(over)[0], [0.0] * (len(DURATION.buckets) + 1)
        point = Point(DURATION, (), start=start, counts=counts)
    # Another one, since what was read may be the next reading's too.
    point = replace(point, counts=[*point.counts])
    totals.put(_KEY, point)
    for first, last in over:
        point.counts[bisect_left(DURATION.buckets, last - first)] += 1.0
        point.total += last - first


def keep_over(base: Totals, totals: Totals, found: dict[int, Sessions], now: float) -> bool:
    """Moves what is over in `found` from the visits in `totals` into `base`; False if nothing is.

    From then on nobody derives it from the rows again, wherever they still are.
    """
    if not totals.visits.count(found, now):
        return False
    new = _KEY not in base.points
    add_over(base, found)
    if new and _KEY in base.points and _KEY in totals.points:
        base.points[_KEY].start = totals.points[_KEY].start
    base.visits = totals.visits
    return True
