"""The limit of series of a metric over all processes of a service, of the living and of the dead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

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
        point = totals.take(key)
        if point is not None and point.metric.type != "gauge":
            into = layout.make_key(point.metric.name, ()), True
            totals.put(into, _sum(totals.points.get(into), point))


def _by_metric(totals: Totals) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = {}
    for key, point in totals.points.items():
        if not point.overflow:
            found.setdefault(point.metric.name, []).append(key)
    return found


def _sum(into: Point | None, point: Point) -> Point:
    if into is None:
        return replace(point, labels=(), overflow=True, exemplars=())
    return replace(
        into,
        start=min(into.start, point.start),
        value=into.value + point.value,
        total=into.total + point.total,
        counts=[a + b for a, b in zip(into.counts, point.counts, strict=True)],
    )
