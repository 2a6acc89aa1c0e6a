"""The recorder of a process: gives its series a place in shared memory, or in its own."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable
from logging import getLogger
from typing import NamedTuple, cast

from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder import layout, said
from otel_accubooks.recorder.family import Family
from otel_accubooks.recorder.files import check_descriptors
from otel_accubooks.recorder.folder import FolderError, StateFolder
from otel_accubooks.recorder.foreign import is_foreign
from otel_accubooks.recorder.fork import generation
from otel_accubooks.recorder.header import Header
from otel_accubooks.recorder.root import Root, process_ticks
from otel_accubooks.recorder.segment import (
    MemorySegment,
    Segment,
    SegmentBusy,
    SegmentError,
    SegmentWriter,
    own,
)
from otel_accubooks.recorder.series import Counter, Gauge, Histogram, Series
from otel_accubooks.recorder.unpatched import RLock

_log = getLogger("otel_accubooks")

DEFAULT_SERIES_LIMIT = 2000
_JOIN_ATTEMPTS = 3
_GROWS = (layout.COUNTER, layout.HISTOGRAM)


class Place(NamedTuple):
    """Where the `slots` values of a series are; `segment` is None where there was no room at all."""

    segment: Segment | None
    values: memoryview[float]
    at: int
    slots: int

    def row(self) -> list[float]:
        """The values as they are."""
        return list(self.values[self.at : self.at + self.slots])


class Recorder:
    """The families of a process and the segment they write to.

    Without a folder, or where it fails, values are kept in a segment in this process's own memory.
    """

    def __init__(
        self, folder: StateFolder | None = None, series_limit: int = DEFAULT_SERIES_LIMIT
    ) -> None:
        self.series_limit = series_limit
        self.folder = folder
        self.root = Root.of_this_process()
        self.segment: SegmentWriter | None = None
        self.memory: MemorySegment | None = None
        self._families: dict[str, Family[Series]] = {}
        self._on_open: list[Callable[[], None]] = []
        self._on_memory: list[Callable[[], None]] = []
        self._number = 0
        # Keyed by process, since a lock that was inherited over a fork may be held by no one.
        self._locks: dict[int, RLock] = {}
        self._places: dict[bytes, Place] = {}  # by key and kind
        self._placed: dict[int, Series] = {}
        self._reserved: dict[bytes, int] = {}
        self._some_put_by = False
        self._said: set[str] = set()
        self._to_tell: list[str] = []

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
        if generation[0] and self._locks.get(os.getpid()) is not None:
            callback()

    def on_memory(self, callback: Callable[[], None]) -> None:
        """Calls `callback` in each process that begins to keep values in its own memory."""
        self._on_memory.append(callback)
        if self.memory is not None and self.memory.pid == os.getpid():
            callback()

    def lock(self) -> RLock:
        """What guards the values of this process."""
        pid = os.getpid()
        lock = self._locks.get(pid)
        return lock if lock is not None else self._locks.setdefault(pid, RLock())

    def first_to_say(self, what: str) -> bool:
        """True for one process of the service: it may log `what`."""
        return self.folder is None or self.segment is None or self.folder.first_to_say(what)

    def attach(self, series: Series) -> None:
        """Gives a series its place in this process's segment. Never raises."""
        lock = self.lock()
        with lock:
            memory = self.memory
            opened = self._opened()
            name = series.key + bytes([series.kind])
            place = self._places.get(name)
            if place is None:
                place = self._places[name] = self._append(series)
            self._placed[id(series)] = series
            series.place(place.values, place.at, lock, generation[0])
            began = self.memory is not None and self.memory is not memory
        self._after(opened, began)

    def join(self) -> None:
        """Opens this process's segment, as its first record would. Never raises."""
        with self.lock():
            opened = self._opened()
            began = opened and self.memory is not None
        self._after(opened, began)

    def _opened(self) -> bool:
        if generation[0]:
            return False
        self._open()
        return True

    def _after(self, opened: bool, began_memory: bool) -> None:
        self._tell()
        self._call(self._on_open if opened else [])
        self._call(self._on_memory if began_memory else [])

    def rejoin(self) -> None:
        """Sees to it that all is shared that can be: to be called now and then. Never raises.

        Joins the others once there is room, with all that was kept in memory; joins them anew where
        the file of this process was deleted under it.
        """
        if self.folder is None or not generation[0] or os.getpid() not in self._locks:
            return
        with self.lock():
            try:
                if self.segment is None or self.segment.lost():
                    self._join_anew(self.folder)
                elif self.memory is not None or self._some_put_by:
                    self._reserve_in(self.segment, self._reserved)
                    self._fill(self.segment, self._reserved)
                    self._adopt(self.segment, self._reserved)
            except (OSError, SegmentError):
                pass  # told when it began

    def memory_to_tell(self) -> MemorySegment | None:
        """The memory whose values this process is about to send itself, if there is any.

        From then on they are not moved any more: what is shared later begins at 0.
        """
        with self.lock():
            if self.memory is not None:
                self.memory.told = True
            return self.memory

    def _call(self, callbacks: list[Callable[[], None]]) -> None:
        struck: Exception | None = None
        for callback in callbacks:
            try:
                callback()
            except Exception as error:
                if is_foreign(error):
                    struck = error  # after the others have begun
                    continue
                self._warn(
                    f"not all of it could be started, the application is not affected: {error!r}"
                )
                self._tell()
        if struck is not None:
            raise struck

    def _open(self) -> None:
        inherited = self.segment
        self.segment = None
        if self.memory is not None:
            own.pop(self.memory.name, None)
            self.memory = None
        self._places, self._placed, self._reserved = {}, {}, {}
        self._locks = {pid: lock for pid, lock in self._locks.items() if pid == os.getpid()}
        if inherited is not None:
            inherited.close()
        try:
            if self.folder is not None:
                self.segment = self._join(self.folder)
        except (OSError, SegmentError) as error:
            self._warn(
                "metrics of this process stay in its memory, and are sent by itself under an "
                f"instance id of its own, until they can be shared: {self._reason(error)} "
                "(OTEL_ACCUBOOKS_STATE_DIR names another place)"
            )
        if self.segment is None:
            self._begin_memory()
        self._number += 1
        generation[0] = self._number

    def _header(self, origin: tuple[int, int] = (0, 0)) -> Header:
        pid = os.getpid()
        return Header(pid, process_ticks(pid) or 0, self.root, self.series_limit, origin)

    def _begin_memory(self) -> MemorySegment:
        self.memory = MemorySegment(self.folder, self._header())
        return self.memory

    def _join(
        self,
        folder: StateFolder,
        name: str | None = None,
        fill: Callable[[SegmentWriter], None] = lambda _: None,
    ) -> SegmentWriter:
        check_descriptors()
        for attempt in range(_JOIN_ATTEMPTS):
            folder.make()
            try:
                with folder.membership():
                    segment = SegmentWriter(folder, self._header(folder.origin()), name)
                    try:
                        fill(segment)  # before anybody sees it
                        segment.show()
                    except BaseException:
                        segment.discard()
                        raise
                    return segment
            except (FolderError, FileNotFoundError):
                if attempt == _JOIN_ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _join_anew(self, folder: StateFolder) -> None:
        before = self.segment
        reserved: dict[bytes, int] = {}

        def fill(segment: SegmentWriter) -> None:
            reserved.clear()
            self._reserve_in(segment, reserved)
            self._fill(segment, reserved)

        # Under the same name, so that readers take it for the one that they hold.
        self.segment = self._join(folder, before.name if before else None, fill)
        if before is not None:
            before.leave()
        self._adopt(self.segment, reserved)
        if before is not None:
            before.close()

    def _append(self, series: Series) -> Place:
        values = _at_first(series.kind, [0.0] * series.slots)
        if self.segment is not None:
            try:
                at = self.segment.append(series.kind, series.key, values)
                return Place(self.segment, self.segment.values, at, series.slots)
            except SegmentBusy:
                return self._put_by(values)
            except (OSError, SegmentError) as error:
                self._warn(
                    "further series of this process stay in its memory, and are sent by itself under "
                    f"an instance id of its own, until they can be shared: {error}"
                )
        memory = self.memory or self._begin_memory()
        try:
            at = memory.append(series.kind, series.key, values)
            return Place(memory, memory.values, at, series.slots)
        except SegmentBusy:
            pass
        except SegmentError as error:
            self._warn(f"further series of this process are not sent: {error}")
        return self._put_by(values)

    def _put_by(self, values: list[float]) -> Place:
        """A place where nobody reads it, until the next `rejoin`."""
        self._some_put_by = True
        return Place(None, memoryview(array("d", values)), 0, len(values))

    def _reserve_in(self, segment: Segment, reserved: dict[bytes, int]) -> None:
        """Makes room in `segment` for all series that are elsewhere. Raises OSError, SegmentError."""
        for name, place in self._places.items():
            if place.segment is not segment and name not in reserved:
                row = _at_first(name[-1], place.row())
                reserved[name] = segment.append(name[-1], name[:-1], row)

    def _fill(self, segment: Segment, reserved: dict[bytes, int]) -> None:
        """Copies the values. Nothing is recorded until the lock is free: it would stay behind."""
        for series in self._placed.values():
            series.leave()
        told = self.memory if self.memory is not None and self.memory.told else None
        for name, at in reserved.items():
            place = self._places[name]
            if name[-1] & ~layout.OVERFLOW in _GROWS and place.segment is told is not None:
                continue  # what was counted so far is sent from memory, and only there
            for index, value in enumerate(place.row(), at):
                segment.values[index] = value

    def _adopt(self, segment: Segment, reserved: dict[bytes, int]) -> None:
        lock = self.lock()
        for name, at in reserved.items():
            self._places[name] = Place(segment, segment.values, at, self._places[name].slots)
        for series in self._placed.values():
            place = self._places[series.key + bytes([series.kind])]
            series.place(place.values, place.at, lock, generation[0])
        self._reserved = {}
        self._some_put_by = False
        if self.memory is not None and not self.memory.told:
            own.pop(self.memory.name, None)
        self.memory = None

    def _warn(self, text: str) -> None:
        what = text.partition(":")[0]
        if what not in self._said:
            self._said.add(what)
            self._to_tell.append(text)

    def _tell(self) -> None:
        # Never under the lock: a handler of the application may record something itself.
        while self._to_tell:
            text = self._to_tell.pop(0)
            try:
                if said.first_to_say(text):  # of all workers of a server
                    _log.warning("otel-accubooks: %s", text)
            except Exception as error:  # of a handler of the application's own
                if is_foreign(error):
                    raise

    def _reason(self, error: Exception) -> str:
        where = self.folder.path if self.folder else ""
        return str(error) if isinstance(error, FolderError) else f"{where}: {error}"


def _at_first(kind: int, row: list[float]) -> list[float]:
    """The values of a new record for a series with `row`: what grows begins now, at 0."""
    grows = kind & ~layout.OVERFLOW in _GROWS
    return [time.time(), *[0.0] * (len(row) - 1)] if grows else row
