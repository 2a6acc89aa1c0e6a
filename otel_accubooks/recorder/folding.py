"""Folding the dead: their counts move into the base, once only, whenever this is interrupted."""

from __future__ import annotations

import os
import secrets
from array import array
from collections.abc import Callable
from logging import getLogger

from otel_accubooks.recorder import exemplars, layout
from otel_accubooks.recorder.files import replace_file
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.header import Header, publish
from otel_accubooks.recorder.limit import beyond, merge
from otel_accubooks.recorder.locks import ServiceLock
from otel_accubooks.recorder.pacing import Pause, no_pause
from otel_accubooks.recorder.root import Root
from otel_accubooks.recorder.segment import SEGMENT_PREFIX, SegmentError
from otel_accubooks.recorder.service import Say, ServiceReader
from otel_accubooks.recorder.sessions import keep_over
from otel_accubooks.recorder.totals import Point, Totals
from otel_accubooks.recorder.visits import Sessions

_log = getLogger("otel_accubooks")
_NOBODY = Root(0, 0, 0.0)
_HANDING_OVER = "handing-over"


class Folding:
    """Moves the dead of a service into its base. Only the holder of the exporter's lock may.

    The base is replaced by a rename and names the segments that it holds; only then are they
    unlinked. Whoever is killed in between leaves segments that the base names: they are skipped.
    """

    def __init__(
        self,
        folder: StateFolder,
        say: Say | None = None,
        ours: Callable[[], bool] = lambda: True,
        pause: Pause = no_pause,
    ) -> None:
        """`say` is told what is refused and what fails, as one line each; by default it is logged.

        `ours` says no once the folder was deleted: what is there by now may be another exporter's.
        `pause` is the reader's.
        """
        self._folder = folder
        self._say = say or _to_log
        self._ours = ours
        self.reader = ServiceReader(folder, folds=True, ours=ours, say=self._say, pause=pause)
        self._full = False
        self._handing_over = ServiceLock(folder, _HANDING_OVER)

    def fold(self) -> list[str]:
        """Folds every dead segment; returns the names of the living ones."""
        reader = self.reader
        if not self._ours():
            return [*reader.readers]
        reader.look()
        reader.check_base()
        self._mend()
        self._unlink(reader.leftover)
        dead = [name for name in [*reader.readers] if reader.is_dead(name)]
        if dead or reader.unsettled:
            self._trying(lambda: self._fold(dead))
        return [name for name in reader.readers if name not in dead]

    def _trying(self, write: Callable[[], None]) -> None:
        try:
            write()
            self._full = False
        except FileNotFoundError:
            pass  # the folder was deleted: the dead are held, until it is there again
        except OSError as error:
            # No room: the dead stay, and are read where they are.
            if not self._full:
                self._full = True
                self._say(f"{self._folder.path}: {error.strerror}")

    def _fold(self, dead: list[str]) -> None:
        base, folded = self._base_with(dead)
        self._bound(base, [name for name in self.reader.readers if name not in folded])
        self._write(base, folded)
        self._unlink(folded)

    def _write(self, base: Totals, folded: set[str]) -> None:
        header = Header(os.getpid(), 0, _NOBODY, self.reader.limit(), self.reader.origin())
        self._replace_base(base_content(base, header, folded))  # and let go of what was folded

    def _replace_base(self, content: bytes) -> None:
        if not self._ours():
            raise FileNotFoundError(self._folder.base)
        replace_file(self._folder.base, content)
        self.reader.adopt_base()

    def keep_sessions(self, totals: Totals, found: dict[int, Sessions], now: float) -> None:
        """Keeps in the base what is over in `found`; `totals` are those that it was found in."""
        if not any(sessions.over or sessions.left for sessions in found.values()):
            return  # as nearly always: then the base need not be read
        base, folded = self._base_with([])
        if keep_over(base, totals, found, now):
            self._trying(lambda: self._write(base, folded | self.reader.leftover))

    def awaits_predecessor(self) -> bool:
        """True where the folder was made anew under its service, and not all of before is in it.

        Whoever exported before has it, if that process lives, and hands it over. Raises OSError.
        """
        reader = self.reader
        reader.look()
        if reader.origin() == self._folder.origin():
            return False
        begun = reader.base is not None or any(r.root == _NOBODY for r in reader.readers.values())
        return not begun or ServiceLock(self._folder, _HANDING_OVER).is_held_elsewhere()

    def hand_over(self) -> bool:
        """Leaves what is in no file any more, base and dead, to another exporter, as a segment.

        False while a process lives that has not written its deleted segment anew; call it again.
        """
        try:
            self._handing_over.take()
        except OSError:
            return False  # the new folder was deleted too
        reader = self.reader
        reader.forget_moved()
        dead = [name for name in reader.readers if reader.is_dead(name)]
        content, folded = self._base_with(dead)
        if reader.base is not None or dead:
            header = Header(os.getpid(), 0, _NOBODY, reader.limit(), reader.origin())
            name = f"{SEGMENT_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
            try:
                replace_file(self._folder.path / name, base_content(content, header, set()))
            except OSError:
                return False
            reader.hand_over(folded)
        return not reader.readers

    def _base_with(self, dead: list[str]) -> tuple[Totals, set[str]]:
        base = Totals()
        if self.reader.base is not None:
            base.add_base(self.reader.base)
        folded = set()
        for name in dead:
            try:
                base.add(self.reader.readers[name], gauges=False)
                folded.add(name)
            except SegmentError as error:
                self.reader.refuse(name, error)
        return base, folded

    def _bound(self, base: Totals, living: list[str]) -> None:
        """Keeps the base within the limit, and notes in it which series are kept, the others' too."""
        readers = [self.reader.readers[name] for name in living]
        limit = self.reader.limit()
        try:
            if len(base.points) + sum(len(r.records()) for r in readers) <= limit:
                return
            whole = base.copy()
            for reader in readers:
                whole.add(reader, gauges=False)
        except SegmentError:
            return  # refused at the next look
        found = beyond(whole, limit)
        merge(base, found.surplus)
        for keys in found.kept.values():
            for key in keys:
                if key not in base.points:
                    base.put(key, _nothing_of(whole.points[key]))

    def _mend(self) -> None:
        """Writes the base anew where it was deleted, or puts aside one that cannot be read."""
        base = self._folder.base
        try:
            if self.reader.base is not None and not base.exists():
                self._replace_base(self.reader.base.content())
            elif self.reader.base is None and base.exists() and not self._found_base():
                os.rename(base, base.with_name(f"{base.name}.damaged"))
        except (OSError, SegmentError):
            pass  # what is held of it counts all the same

    def _found_base(self) -> bool:
        # Written since by the exporter that was at work in the folder before this was deleted.
        self.reader.look()
        return self.reader.base is not None

    def _unlink(self, folded: set[str]) -> None:
        for name in folded:
            try:
                os.unlink(self._folder.path / name)
            except OSError:
                pass  # deleted before


def _to_log(text: str) -> None:
    _log.warning("otel-accubooks: %s", text)


def _nothing_of(point: Point) -> Point:
    return Point(point.metric, point.labels, point.start, counts=[0.0] * len(point.counts))


def base_content(totals: Totals, header: Header, folded: set[str]) -> bytes:
    """A base, or a segment, with the counters, histograms and presence of `totals`."""
    parts = [_record(layout.FOLDED, name.encode(), []) for name in sorted(folded)]
    for (key, overflow), point in totals.points.items():
        flag = layout.OVERFLOW if overflow else 0
        if point.metric.type == "counter":
            parts.append(_record(layout.COUNTER | flag, key, [point.start, point.value]))
        elif point.metric.type == "histogram":
            row = [point.start, point.total, *point.counts]
            parts.append(_record(layout.HISTOGRAM | flag, key, row))
            if any(point.exemplars):
                found = exemplars.rows(point.exemplars)
                parts.append(_record(layout.EXEMPLARS | flag, key, found))
    for key, values in totals.visits.records():
        parts.append(_record(layout.PRESENCE, key, values))
    body = b"".join(parts)
    head = bytearray(layout.HEADER_BYTES)
    header.write(head)
    publish(memoryview(head).cast("Q"), len(head) + len(body))
    return bytes(head) + body


def _record(kind: int, key: bytes, values: list[float]) -> bytes:
    size = layout.record_bytes(len(values), key)
    head = layout.HEAD.pack(size, kind, len(values), len(key))
    return (head + array("d", values).tobytes() + key).ljust(size, b"\0")
