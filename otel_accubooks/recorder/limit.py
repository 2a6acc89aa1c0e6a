"""The limit of series of a metric over all processes of a service, of the living and of the dead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.totals import Key, Point, Totals


@dataclass
class Beyond:
    """The metrics that have more series than the limit, by name: which are kept, and which are not."""

    kept: dict[str, list[Key]] = field(default_factory=dict)
    surplus: list[Key] = field(default_factory=list)


def beyond(totals: Totals, limit: int) -> Beyond:
    """Looks for metrics with more than `limit` series; 0 is no limit.

    Kept are those of the base, which were told, then the oldest: so one that was told stays told.
    """
    found = Beyond()
    if not limit or len(totals.points) <= limit:
        return found
    for name, keys in _by_metric(totals).items():
        if len(keys) > limit:
            keys.sort(key=lambda key: (key not in totals.settled, totals.points[key].start))
            room = max(limit, sum(key in totals.settled for key in keys))
            found.kept[name] = keys[:room]
            found.surplus.extend(keys[room:])
    return found


def merge(totals: Totals, keys: Iterable[Key]) -> None:
    """Moves the series `keys`, as far as they are in `totals`, into the overflow of their metric.

    Gauges, of which there is no sum, are dropped.
    """
    for key in keys:
        point = totals.points.pop(key, None)
        if point is not None and point.metric.type != "gauge":
            _add(_overflow(totals, point), point)


def _by_metric(totals: Totals) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = {}
    for key, point in totals.points.items():
        if not point.overflow:
            found.setdefault(point.metric.name, []).append(key)
    return found


def _overflow(totals: Totals, like: Point) -> Point:
    key = (layout.make_key(like.metric.name, ()), True)
    point = totals.points.get(key)
    if point is None:
        point = Point(like.metric, (), like.start, overflow=True, counts=[0.0] * len(like.counts))
        totals.points[key] = point
    return point


def _add(into: Point, point: Point) -> None:
    into.start = min(into.start, point.start)
    into.value += point.value
    into.total += point.total
    into.counts = [a + b for a, b in zip(into.counts, point.counts, strict=True)]
