"""Adding up the same segments again and again: only series that changed are added up anew."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from struct import Struct

from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder import exemplars, layout
from otel_accubooks.recorder.pacing import Pause, no_pause, parts
from otel_accubooks.recorder.reader import Record, SegmentReader
from otel_accubooks.recorder.totals import (
    LATEST,
    MOST,
    Key,
    Point,
    Totals,
    across,
    newest,
    series_of,
    sound,
)

_PART = 1024  # series whose bytes are compared at once
_FEW = 256  # that are added up
Source = tuple[SegmentReader, bool]  # a segment, and whether its gauges count


class Sums:
    """The totals of a service as they were last read, and where each of them is.

    What is told is what `Totals.add` would tell of the same segments in the same order. It keeps the
    bytes of each segment as they were last read, to see what changed since.
    """

    def __init__(self, pause: Pause = no_pause) -> None:
        self._pause = pause
        self._follow([])

    def _follow(self, sources: list[Source]) -> None:
        """Begins anew, with nothing read yet."""
        self._sources = sources
        self._followed = [_Followed(reader, gauges) for reader, gauges in sources]
        self._sums: dict[Key, _Sum] = {}
        self._unsound: set[_Sum] = set()
        self._traced: set[_Sum] = set()

    def read(self, base: SegmentReader | None, segments: Iterable[Source]) -> Totals:
        """The totals now. Of each segment, `records` was called just before."""
        sources = [*([(base, True)] if base is not None else []), *segments]
        if not _same(sources, self._sources):
            self._follow(sources)
        changed: dict[_Sum, None] = {}  # in the order in which they were made, and are in memory
        for followed in self._followed:
            followed.look(self._sums, changed, self._pause)
            self._pause()
        now = time.time()
        changed.update(dict.fromkeys(found for found in self._traced if found.expires < now))
        in_order = [*changed]
        for part in parts(len(in_order), _FEW, self._pause):
            self._add_up(in_order[part])
        self._pause()
        return self._totals(base)

    def _add_up(self, changed: list[_Sum]) -> None:
        for found in changed:
            found.add_up()
            if found.unsound:
                self._unsound.add(found)
            elif self._unsound:
                self._unsound.discard(found)
            if found.traces:
                self._traced.add(found)

    def _totals(self, base: SegmentReader | None) -> Totals:
        points = {key: s.point for key, s in self._sums.items() if s.point is not None}
        totals = Totals(points)
        totals.foreign = {found.metric.name for found in self._unsound}
        for followed in self._followed:
            followed.tell(totals)
        if base is not None:
            there = self._followed[0].told()
            told = [key for key in there if not key[1] and key in points]
            totals.settled = {key for key in told if self._sums[key].sound_at_first()}
        return totals


def _same(sources: list[Source], others: list[Source]) -> bool:
    return len(sources) == len(others) and all(
        a is b and gauges == there for (a, gauges), (b, there) in zip(sources, others, strict=True)
    )


class _Sum:
    """One series over all segments."""

    __slots__ = (
        "expires",
        "kind",
        "labels",
        "metric",
        "overflow",
        "parts",
        "point",
        "shape",
        "traces",
        "unsound",
    )

    def __init__(
        self, metric: Metric, labels: tuple[str, ...], kind: int, overflow: bool, shape: Struct
    ) -> None:
        self.metric = metric
        self.labels = labels
        self.kind = kind
        self.overflow = overflow
        self.shape = shape
        self.parts: list[tuple[memoryview, int]] = []  # each at a byte of its segment
        self.traces: list[tuple[SegmentReader, Record]] = []
        self.point: Point | None = None
        self.unsound = False
        self.expires = 0.0  # Unix seconds: when the oldest exemplar is too old

    def add_up(self) -> None:
        """Makes the point anew, from what the segments say now."""
        if self.kind == layout.COUNTER:
            self.point = self._counted()
            return
        read = self.shape.unpack_from
        rows = [read(memory, at) for memory, at in self.parts]
        if self.kind == layout.GAUGE:
            self.point = self._gauge([row[0] for row in rows if row[0] == row[0]])
            return
        for row in rows:
            # Quick, and mostly so; `sound` is exact.
            if not (min(row) >= 0.0 and sum(row) < LATEST):
                rows = [row for row in rows if sound(row)]
                break
        self.unsound = len(rows) < len(self.parts)
        self.point = self._histogram(rows) if rows else None
        if self.traces and self.point is not None:
            self._add_exemplars(self.point)

    def sound_at_first(self) -> bool:
        """True if the first part, which is the base's where there is one, is added."""
        if not self.unsound:
            return True
        memory, at = self.parts[0]
        return sound(self.shape.unpack_from(memory, at))

    def _counted(self) -> Point | None:
        read, sound_rows, since, total = self.shape.unpack_from, 0, _INFINITE, 0.0
        for memory, at in self.parts:
            start, value = read(memory, at)
            if 0.0 <= value <= MOST and 0.0 <= start < LATEST:  # as `sound`
                sound_rows += 1
                total += value
                if start < since:  # noqa: PLR1730 - `min` takes a tenth of all of this
                    since = start
        self.unsound = sound_rows < len(self.parts)
        if not sound_rows:
            return None
        return Point(self.metric, self.labels, since, total, [], 0.0, self.overflow)

    def _gauge(self, values: list[float]) -> Point | None:
        if not values:
            return None
        value = reduce(lambda a, b: across(self.metric, a, b), values)
        return Point(self.metric, self.labels, value=value, overflow=self.overflow)

    def _histogram(self, rows: list[tuple[float, ...]]) -> Point:
        start = rows[0][0]
        row: Sequence[float] = rows[0]
        for other in rows[1:]:
            row = [*map(add, row, other)]
            start = min(start, other[0])
        # Small whole numbers are the same objects everywhere: fewer bytes than a float of each.
        counts: list[float] = [*map(round, row[2:])]
        return Point(self.metric, self.labels, start, 0.0, counts, row[1], self.overflow)

    def _add_exemplars(self, point: Point) -> None:
        found: tuple[exemplars.Exemplar | None, ...] = ()
        for reader, record in self.traces:
            row = reader.values[record.first : record.first + record.count]
            if len(row) == exemplars.ROW * len(point.counts):
                found = newest(found or (None,) * len(point.counts), exemplars.read(row))
        point.exemplars = found
        oldest = min((one.time for one in found if one is not None), default=_INFINITE)
        self.expires = oldest + exemplars.KEPT_SECONDS


class _Followed:
    """A segment, and what its records belong to."""

    def __init__(self, reader: SegmentReader, gauges: bool) -> None:
        self._reader = reader
        self._gauges = gauges
        self._known = 0  # how many records are
        self._last = b""
        self._begins, self._ends = array("L"), array("L")
        self._sums: list[_Sum] = []
        self._presence: list[Record] = []
        self._folded: set[str] = set()
        self._foreign: set[str] = set()

    def look(self, sums: dict[Key, _Sum], changed: dict[_Sum, None], pause: Pause) -> None:
        """Adds to `changed` what changed since the last look, and new series to `sums`."""
        records = self._reader.parsed
        for record in records[self._known :]:
            self._add(record, sums)
        self._known = len(records)
        last, now = self._last, self._reader.snapshot()
        if now != last:
            for part in parts(len(self._sums), _PART, pause):
                places = zip(self._begins[part], self._ends[part], self._sums[part], strict=True)
                # What is beyond the end of the last one is no bytes there.
                here = [found for a, b, found in places if now[a:b] != last[a:b]]
                changed.update(dict.fromkeys(here))
            self._last = now

    def _add(self, record: Record, sums: dict[Key, _Sum]) -> None:
        kind, overflow = record.kind & ~layout.OVERFLOW, bool(record.kind & layout.OVERFLOW)
        if kind == layout.PRESENCE:
            self._presence.append(record)
        elif kind == layout.FOLDED:
            self._folded.add(record.key.decode("utf-8", "replace"))
        elif kind == layout.EXEMPLARS:
            found = sums.get((record.key, overflow))
            if found is not None:
                found.traces.append((self._reader, record))
                self._place(record, found)
        elif kind != layout.GAUGE or self._gauges:
            series = series_of(record.key, kind, overflow, record.count)
            if series is None:
                self._foreign.add(layout.split_key(record.key)[0])
                return
            key = (record.key, overflow)
            found = sums.get(key)
            if found is None:
                found = sums[key] = _Sum(*series, kind, overflow, _shape(record.count))
            found.parts.append((self._reader.memory, 8 * record.first))
            self._place(record, found)

    def _place(self, record: Record, found: _Sum) -> None:
        self._begins.append(8 * record.first)
        self._ends.append(8 * (record.first + record.count))
        self._sums.append(found)

    def told(self) -> Iterable[Key]:
        """The series that the segment has; not each of them has a point."""
        for record in self._reader.parsed:
            yield record.key, bool(record.kind & layout.OVERFLOW)

    def tell(self, totals: Totals) -> None:
        """Adds to `totals` what is no series."""
        totals.folded |= self._folded
        totals.foreign |= self._foreign
        for record in self._presence:
            row = self._reader.values[record.first : record.first + record.count]
            totals.add_visits(record.key, row)


_INFINITE = float("inf")
_SHAPES: dict[int, Struct] = {}


def _shape(count: int) -> Struct:
    # As the machine has them: each is read as one word of 8 bytes.
    return _SHAPES.setdefault(count, Struct(f"{count}d"))
