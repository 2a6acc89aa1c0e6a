"""Adding up the segments of a service: the living, and the base that holds the dead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.unsent import UNSENT
from otel_accubooks.recorder import exemplars, layout
from otel_accubooks.recorder.exemplars import Exemplar
from otel_accubooks.recorder.reader import SegmentReader
from otel_accubooks.recorder.visits import Visits

Key = tuple[bytes, bool]  # of a series in a segment; True for an overflow series

# Beyond these a number is damage, and could not be sent: the last count that a double has exactly, and
# the year 2242 in Unix seconds.
MOST = 2.0**53
LATEST = 2.0**33


@dataclass(slots=True)
class Point:
    """One series of a service. `start` is Unix seconds.

    A point that was read is the next reading's too while nothing of its series changed, so nobody
    who gets one changes it.
    `counts`, `total` and `exemplars` are a histogram's. There are exemplars for all buckets (None
    where a bucket has none), or for none of them.
    """

    metric: Metric
    labels: tuple[str, ...]
    start: float = 0.0
    value: float = 0.0
    counts: list[float] = field(default_factory=list)
    total: float = 0.0
    overflow: bool = False
    exemplars: tuple[Exemplar | None, ...] = ()

    @property
    def attributes(self) -> dict[str, str | bool]:
        """The labels as OpenTelemetry attributes."""
        if self.overflow:
            return {"otel.metric.overflow": True}
        return dict(zip(self.metric.label_names, self.labels, strict=True))


@dataclass
class Totals:
    """What all processes of a service recorded, added up as the contract's `across` says.

    `settled` are the series that the base holds, and `folded` the names of the segments that it does.
    `foreign` are names of metrics of which a series was left out: it has another shape here, or is damaged.
    """

    points: dict[Key, Point] = field(default_factory=dict)
    visits: Visits = field(default_factory=Visits)
    folded: set[str] = field(default_factory=set)
    settled: set[Key] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    _by_metric: dict[str, list[Point]] | None = field(default=None, repr=False, compare=False)

    def copy(self) -> Totals:
        """Series that can be added to without changing these."""
        points = {key: replace(point) for key, point in self.points.items()}
        return Totals(points, settled=set(self.settled))

    def add_base(self, reader: SegmentReader) -> None:
        """Adds the base, first of all. Raises SegmentError for a damaged one."""
        self.add(reader)
        self.settled = {key for key in self.points if not key[1]}

    def add(self, reader: SegmentReader, *, gauges: bool = True) -> None:
        """Adds a segment; `gauges` is False for one whose process is dead.

        Raises SegmentError for a damaged segment.
        """
        self._by_metric = None
        values = reader.values
        for record in reader.records():
            kind = record.kind & ~layout.OVERFLOW
            if kind == layout.PRESENCE:
                self.add_visits(record.key, values[record.first : record.first + record.count])
            elif kind == layout.FOLDED:
                self.folded.add(record.key.decode("utf-8", "replace"))
            elif kind == layout.EXEMPLARS:
                row = values[record.first : record.first + record.count]
                self._add_exemplars(record.key, bool(record.kind & layout.OVERFLOW), row)
            elif kind != layout.GAUGE or gauges:
                numbers = list(values[record.first : record.first + record.count])
                self._add_series(record.key, kind, bool(record.kind & layout.OVERFLOW), numbers)

    def add_visits(self, key: bytes, row: memoryview[float]) -> None:
        """Adds a record of kind PRESENCE."""
        try:
            self.visits.read(key, row)
        except (ValueError, OverflowError):
            self.foreign.add(layout.split_key(key)[0])

    def _add_series(self, key: bytes, kind: int, overflow: bool, row: list[float]) -> None:
        series = series_of(key, kind, overflow, len(row))
        if series is None or (kind != layout.GAUGE and not sound(row)):
            self.foreign.add(layout.split_key(key)[0])
            return
        if kind == layout.GAUGE and row[0] != row[0]:
            return  # not a number: whoever set it has no value any more
        point = self.points.get((key, overflow))
        new = point is None
        if point is None:
            point = self.points[key, overflow] = Point(*series, overflow=overflow)
        if kind == layout.GAUGE:
            point.value = row[0] if new else across(point.metric, point.value, row[0])
            return
        point.start = row[0] if new else min(point.start, row[0])
        if kind == layout.COUNTER:
            point.value += row[1]
            return
        point.total += row[1]
        counts = row[2:]
        point.counts = counts if new else [a + b for a, b in zip(point.counts, counts, strict=True)]

    def _add_exemplars(self, key: bytes, overflow: bool, row: memoryview[float]) -> None:
        point = self.points.get((key, overflow))
        if point is None or len(row) != exemplars.ROW * len(point.counts):
            return  # of a histogram that was written by another version of this package
        known = point.exemplars or (None,) * len(point.counts)
        point.exemplars = newest(known, exemplars.read(row))

    def put(self, key: Key, point: Point) -> None:
        """The series `key` is `point` from now on."""
        self.points[key] = point
        self._by_metric = None

    def take(self, key: Key) -> Point | None:
        """Takes the series `key` out, and returns it."""
        self._by_metric = None
        return self.points.pop(key, None)

    def of(self, metric: Metric) -> Iterable[Point]:
        """The series of one metric."""
        return self.by_metric().get(metric.name, ())

    def by_metric(self) -> dict[str, list[Point]]:
        """The series by the name of their metric."""
        if self._by_metric is None:
            found: dict[str, list[Point]] = {}
            for point in self.points.values():
                found.setdefault(point.metric.name, []).append(point)
            self._by_metric = found
        return self._by_metric


def series_of(
    key: bytes, kind: int, overflow: bool, size: int
) -> tuple[Metric, tuple[str, ...]] | None:
    """Metric and labels of a record; None for one of another version of this package."""
    name, labels = layout.split_key(key)
    metric = BY_NAME.get(name) or UNSENT.get(name)
    if metric is None or kind != layout.KINDS[metric.type]:
        return None
    sizes = {layout.COUNTER: 2, layout.HISTOGRAM: 3 + len(metric.buckets), layout.GAUGE: 1}
    fits = size == sizes[kind] and (overflow or len(labels) == len(metric.labels))
    return (metric, labels) if fits else None


def newest(
    known: Iterable[Exemplar | None], others: Iterable[Exemplar | None]
) -> tuple[Exemplar | None, ...]:
    """For each bucket the later one of two exemplars."""
    return tuple(
        new if old is None or (new is not None and new.time > old.time) else old
        for old, new in zip(known, others, strict=True)
    )


def sound(row: Sequence[float]) -> bool:
    """True for a start and counts that can be sent, and a histogram's sum that can be added to."""
    counts = row[2:] or row[1:]
    possible = 0.0 <= row[0] < LATEST and sum(counts) <= MOST
    return possible and min(counts) >= 0.0 and isfinite(row[1])


def across(metric: Metric, a: float, b: float) -> float:
    if metric.across == "sum":
        return a + b
    return min(a, b) if metric.across == "min" else max(a, b)
