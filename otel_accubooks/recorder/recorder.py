"""The recorder of a process: hands out series, and gives them a place in shared memory."""

from __future__ import annotations

import os
import time
from _thread import RLock  # as it is before gevent may patch threading
from array import array
from collections.abc import Callable
from logging import getLogger
from typing import Generic, TypeVar, cast

from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder import layout
from otel_accubooks.recorder.folder import FolderError, StateFolder
from otel_accubooks.recorder.fork import generation
from otel_accubooks.recorder.segment import Root, SegmentError, SegmentWriter
from otel_accubooks.recorder.series import Counter, Gauge, Histogram, Series, make_series

_log = getLogger("otel_accubooks")

DEFAULT_SERIES_LIMIT = 2000
MAX_LABEL_CHARACTERS = 200
_JOIN_ATTEMPTS = 3
_PRIVATE_BYTES = 1024 * 1024

S = TypeVar("S", bound=Series)


class Family(Generic[S]):
    """A metric in this process: its series by label values, at most `limit` of them."""

    def __init__(self, metric: Metric, recorder: Recorder) -> None:
        self.metric = metric
        self._recorder = recorder
        self._series: dict[tuple[str, ...], S] = {}
        self._overflow: S | None = None
        self._closed = [
            None if label.values is None else frozenset(label.values) for label in metric.labels
        ]

    def labels(self, *values: str) -> S:
        """The series with these label values, in the order of the contract.

        A value outside a label's closed set becomes that set's last; beyond the limit of series,
        everything goes to one overflow series.
        """
        series = self._series.get(values)
        return series if series is not None else self._new(values)

    def _new(self, values: tuple[str, ...]) -> S:
        kept = tuple(self._bounded(i, value) for i, value in enumerate(values))
        if kept != values and (known := self._series.get(kept)) is not None:
            return known
        if len(self._series) >= self._recorder.series_limit:
            return self._overflow_series()
        return self._series.setdefault(kept, self._make(kept))

    def _make(self, labels: tuple[str, ...], flag: int = 0) -> S:
        key = layout.make_key(self.metric.name, labels)
        kind = layout.KINDS[self.metric.type] | flag
        return cast(S, make_series(kind, key, self.metric.buckets, self._recorder.attach))

    def _bounded(self, index: int, value: object) -> str:
        text = str(value).replace(layout.SEPARATOR, " ")[:MAX_LABEL_CHARACTERS]
        closed = self._closed[index]
        if closed is None or text in closed:
            return text
        return self.metric.labels[index].values[-1]  # type: ignore[index]

    def _overflow_series(self) -> S:
        if self._overflow is None:
            self._overflow = self._make((), layout.OVERFLOW)
            _log.warning(
                "otel-accubooks: %s has more than %d series in this process; further label values "
                "are counted in one series with otel.metric.overflow=true",
                self.metric.name,
                self._recorder.series_limit,
            )
        return self._overflow

    def announce(self) -> None:
        """Makes every series of a closed label set exist at 0, so that a first event is growth."""
        rows: list[tuple[str, ...]] = [()]
        for label in self.metric.labels:
            rows = [(*row, value) for row in rows for value in label.values or ()]
        for row in rows:
            series = self.labels(*row)
            series._attach(series)


class Recorder:
    """The families of a process and the segment they write to.

    Without a folder, or where it fails, values are kept in this process's own memory.
    """

    def __init__(
        self, folder: StateFolder | None = None, series_limit: int = DEFAULT_SERIES_LIMIT
    ) -> None:
        self.series_limit = series_limit
        self.folder = folder
        self.root = Root.of_this_process()
        self.segment: SegmentWriter | None = None
        self._families: dict[str, Family[Series]] = {}
        self._on_open: list[Callable[[], None]] = []
        self._number = 0
        # Keyed by process, since a lock that was inherited over a fork may be held by no one.
        self._locks: dict[int, RLock] = {}
        self._places: dict[bytes, tuple[memoryview[float], int]] = {}
        self._placed: list[Series] = []
        self._private: memoryview[float] | None = None
        self._private_used = 0
        self._warned = False
        self._to_tell = ""

    def counter(self, metric: Metric) -> Family[Counter]:
        """The family of a counter of the contract."""
        return cast("Family[Counter]", self._family(metric, "counter"))

    def histogram(self, metric: Metric) -> Family[Histogram]:
        """The family of a histogram of the contract."""
        return cast("Family[Histogram]", self._family(metric, "histogram"))

    def gauge(self, metric: Metric) -> Family[Gauge]:
        """The family of a gauge of the contract."""
        return cast("Family[Gauge]", self._family(metric, "gauge"))

    def _family(self, metric: Metric, kind: str) -> Family[Series]:
        if metric.type != kind:
            raise TypeError(f"{metric.name} is a {metric.type}, not a {kind}")
        family = self._families.get(metric.name)
        if family is None:
            family = self._families.setdefault(metric.name, Family(metric, self))
        return family

    def on_open(self, callback: Callable[[], None]) -> None:
        """Calls `callback` after each opening of a segment: at the first record, and after a fork."""
        self._on_open.append(callback)
        if self.segment is not None and generation[0]:
            callback()

    def attach(self, series: Series) -> None:
        """Gives a series its place in this process's segment. Never raises."""
        lock = self._locks.get(os.getpid())
        if lock is None:
            lock = self._locks.setdefault(os.getpid(), RLock())
        opened = False
        with lock:
            if generation[0] == 0:
                self._open()
                opened = True
            place = self._places.get(series.key + bytes([series.kind]))
            if place is None:
                place = self._append(series)
            series.place(*place, lock, generation[0])
            self._placed.append(series)
        self._tell()
        if opened:
            for callback in self._on_open:
                try:
                    callback()
                except Exception as error:
                    self._warn(f"a start-up step failed: {error!r}")
                    self._tell()

    def rejoin(self) -> None:
        """Joins the others once there is room, with all that was kept in memory. Never raises."""
        lock = self._locks.get(os.getpid())
        if self.segment is not None or self.folder is None or lock is None or not generation[0]:
            return
        with lock:
            segment: SegmentWriter | None = None
            try:
                segment = self._join(self.folder)
                found = [segment.append(s.kind, s.key, s.kept()) for s in self._placed]
            except (OSError, SegmentError):
                if segment is not None:
                    segment.discard()
                return  # told when it began
            for series, at in zip(self._placed, found, strict=True):
                series.place(segment.values, at, lock, generation[0])
                self._places[series.key + bytes([series.kind])] = segment.values, at
            self.segment = segment

    def _open(self) -> None:
        inherited = self.segment
        self.segment = self._private = None
        self._places = {}
        self._placed = []
        self._locks = {pid: lock for pid, lock in self._locks.items() if pid == os.getpid()}
        try:
            if inherited is not None:
                inherited.forget()
            if self.folder is not None:
                self.segment = self._join(self.folder)
        except (OSError, SegmentError) as error:
            where = self.folder.path if self.folder else ""
            reason = str(error) if isinstance(error, FolderError) else f"{where}: {error}"
            self._warn(
                "metrics of this process stay in its memory until they can be shared: "
                f"{reason} (OTEL_ACCUBOOKS_STATE_DIR names another place)"
            )
        self._number += 1
        generation[0] = self._number

    def _join(self, folder: StateFolder) -> SegmentWriter:
        for attempt in range(_JOIN_ATTEMPTS):
            folder.make()
            try:
                with folder.membership():
                    return SegmentWriter(folder, self.root)
            except (FolderError, FileNotFoundError):
                if attempt == _JOIN_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _append(self, series: Series) -> tuple[memoryview[float], int]:
        values = [0.0] * series.slots
        if series.kind & ~layout.OVERFLOW in (layout.COUNTER, layout.HISTOGRAM):
            values[0] = time.time()
        place: tuple[memoryview[float], int] | None = None
        if self.segment is not None:
            try:
                place = self.segment.values, self.segment.append(series.kind, series.key, values)
            except (OSError, SegmentError) as error:
                self._warn(f"further series of this process are not exported: {error}")
        if place is None:
            place = self._append_privately(values)
        self._places[series.key + bytes([series.kind])] = place
        return place

    def _append_privately(self, values: list[float]) -> tuple[memoryview[float], int]:
        if self._private is None or self._private_used + len(values) > len(self._private):
            # Starting over makes series share a place: they are not exported, only kept harmless.
            self._private = memoryview(bytearray(_PRIVATE_BYTES)).cast("d")
            self._private_used = 0
        at = self._private_used
        self._private_used += len(values)
        self._private[at : at + len(values)] = array("d", values)
        return self._private, at

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            self._to_tell = text

    def _tell(self) -> None:
        # Never under the lock: a handler of the application may record something itself.
        text, self._to_tell = self._to_tell, ""
        if text:
            _log.warning("otel-accubooks: %s", text)
