"""Adding up the segments of a service: the living, and the base that holds the dead."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.unsent import UNSENT
from otel_accubooks.recorder import layout
from otel_accubooks.recorder.presence import ROW, SESSION_SILENCE_SECONDS
from otel_accubooks.recorder.segment import SegmentReader


@dataclass
class Point:
    """One series of a service. `start` is Unix seconds; `counts` and `total` are a histogram's."""

    metric: Metric
    labels: tuple[str, ...]
    start: float = 0.0
    value: float = 0.0
    counts: list[float] = field(default_factory=list)
    total: float = 0.0
    overflow: bool = False

    @property
    def attributes(self) -> dict[str, str | bool]:
        """The labels as OpenTelemetry attributes."""
        if self.overflow:
            return {"otel.metric.overflow": True}
        return dict(zip(self.metric.label_names, self.labels, strict=True))


@dataclass
class Totals:
    """What all processes of a service recorded, added up as the contract's `across` says."""

    points: dict[tuple[bytes, bool], Point] = field(default_factory=dict)
    presence: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    folded: set[str] = field(default_factory=set)

    def add(self, reader: SegmentReader, *, gauges: bool = True) -> None:
        """Adds a segment; `gauges` is False for one whose process is dead.

        Raises SegmentError for a damaged segment.
        """
        values = reader.values
        for record in reader.records():
            kind = record.kind & ~layout.OVERFLOW
            if kind == layout.PRESENCE:
                self._add_presence(record.key, values[record.first : record.first + record.count])
            elif kind == layout.FOLDED:
                self.folded.add(record.key.decode())
            elif kind != layout.GAUGE or gauges:
                row = values[record.first : record.first + record.count]
                self._add_series(record.key, kind, bool(record.kind & layout.OVERFLOW), row)

    def _add_series(self, key: bytes, kind: int, overflow: bool, row: memoryview[float]) -> None:
        point = self.points.get((key, overflow))
        new = point is None
        if point is None:
            name, labels = layout.split_key(key)
            metric = BY_NAME.get(name) or UNSENT.get(name)
            if metric is None or not _fits(metric, labels, kind, overflow, len(row)):
                return  # written by another version of this package
            point = self.points[key, overflow] = Point(metric, labels, overflow=overflow)
        if kind == layout.GAUGE:
            point.value = row[0] if new else _across(point.metric, point.value, row[0])
            return
        point.start = row[0] if new else min(point.start, row[0])
        if kind == layout.COUNTER:
            point.value += row[1]
        else:
            point.total += row[1]
            counts = [float(count) for count in row[2:]]
            point.counts = (
                counts if new else [a + b for a, b in zip(point.counts, counts, strict=True)]
            )

    def _add_presence(self, key: bytes, table: memoryview[float]) -> None:
        rows = self.presence.setdefault(layout.split_key(key)[0], {})
        oldest = time.time() - SESSION_SILENCE_SECONDS
        for at in range(0, len(table), ROW):
            who, first, last, ended = table[at : at + ROW].tolist()
            if not who or max(last, ended) < oldest:
                continue
            known = rows.setdefault(int(who), [first, last, ended])
            known[0] = min(known[0], first)
            known[1] = max(known[1], last)
            known[2] = max(known[2], ended)

    def of(self, metric: Metric) -> Iterable[Point]:
        """The series of one metric."""
        return (point for point in self.points.values() if point.metric is metric)


def _fits(metric: Metric, labels: tuple[str, ...], kind: int, overflow: bool, size: int) -> bool:
    sizes = {layout.COUNTER: 2, layout.HISTOGRAM: 3 + len(metric.buckets), layout.GAUGE: 1}
    shape = kind == layout.KINDS[metric.type] and size == sizes[kind]
    return shape and (overflow or len(labels) == len(metric.labels))


def _across(metric: Metric, a: float, b: float) -> float:
    if metric.across == "sum":
        return a + b
    return min(a, b) if metric.across == "min" else max(a, b)
