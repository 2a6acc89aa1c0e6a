"""Reading a whole service: base and segments, as one consistent set of totals."""

from __future__ import annotations

import os
from collections.abc import Callable

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.files import inode_at
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.limit import beyond, merge
from otel_accubooks.recorder.pacing import Pause, no_pause
from otel_accubooks.recorder.reader import OwnSegmentReader, SegmentReader
from otel_accubooks.recorder.segment import SegmentError, own
from otel_accubooks.recorder.sums import Sums
from otel_accubooks.recorder.totals import Totals

_ATTEMPTS = 100

Say = Callable[[str], None]


def _unsaid(text: str) -> None:
    """For readers that do not fold: the one who folds says it."""


class ServiceReader:
    """Reads every segment of a service, from any process of it; keeps what it has parsed.

    The segment of a process that lives is held also where its file was deleted under it; the base too.
    """

    def __init__(
        self,
        folder: StateFolder,
        *,
        folds: bool = False,
        ours: Callable[[], bool] = lambda: True,
        say: Say | None = None,
        pause: Pause = no_pause,
    ) -> None:
        """`folds` is for the one who folds: what it lost sight of is held until it is in the base.

        While `ours` says no, what is in the folder is another's and not looked at. `say` is told what
        is refused, as one line each. `pause` is called now and then while it is added up.
        """
        self.folder = folder
        self.readers: dict[str, SegmentReader] = {}
        self.base: SegmentReader | None = None
        self.exceeded: set[str] = set()
        self.unsettled = False
        self.leftover: set[str] = (
            set()
        )  # files that the base holds, of one who was killed at folding
        self._folded: set[str] = set()
        self._folds = folds
        self._ours = ours
        self._looked = False
        self._say = say or _unsaid
        self._refused: dict[str, tuple[int, int]] = {}
        self._sums = Sums(pause)
        self._last = Totals()
        self._origin: tuple[int, int] | None = None

    def read(self) -> Totals:
        """The totals now. A segment that is folded meanwhile is in them once, never twice or not."""
        for _ in range(_ATTEMPTS):
            self.look()
            totals = self._add_up()
            if not self._base_was_replaced():
                self._bound(totals)
                self._last = totals
                break
        return self._last

    def look(self) -> None:
        """Maps what is new in the folder, and lets go of what was folded by another process."""
        if not self._ours():
            return
        another_base = self._look_at_base()
        there = set(self.folder.segments())
        self.leftover = there & self._folded
        names = (there - self._folded) | set(self._mine())
        for name in sorted(names):
            self._hold(name)
        for name in self.readers.keys() - names:
            if self._is_over(name, another_base):
                del self.readers[name]

    def _is_over(self, name: str, another_base: bool) -> bool:
        """True for a segment without a file that is counted elsewhere by now."""
        if name in self._folded or isinstance(self.readers[name], OwnSegmentReader):
            return True
        # The dead go into the base when they are folded. Others, whose files were deleted, are held.
        return another_base and not self._folds and self.is_dead(name)

    def adopt_base(self) -> None:
        """For the one who folds: the base is the one that was just written."""
        inode = inode_at(self.folder.base)
        if inode is not None and self._map_base(inode):
            self.look()

    def check_base(self) -> None:
        """Leaves a base alone that was damaged since it was mapped, and says so."""
        base = self.base
        if base is None:
            return
        try:
            base.records()
        except SegmentError as error:
            self._refuse_base(base.inode, error)
            self.base = None

    def forget_moved(self) -> None:
        """Forgets the segments that another exporter has: written anew since, or folded by it."""
        path = self.folder.path
        held = {n for n, r in self.readers.items() if not r.moved() and inode_at(path / n) is None}
        # Asked for last: a file that is gone was named there before.
        held -= self._folded_elsewhere()
        self.readers = {name: reader for name, reader in self.readers.items() if name in held}

    def _folded_elsewhere(self) -> set[str]:
        try:
            return _folded(SegmentReader(self.folder.base))
        except (OSError, SegmentError):
            return set()

    def hand_over(self, names: set[str]) -> None:
        """Forgets the base and the segments `names`, which are another's from now on."""
        self.base = None
        for name in names:
            del self.readers[name]

    def is_dead(self, name: str) -> bool:
        """True if the process of a segment that is held has ended."""
        held = self.readers[name]
        if not held.dead():
            return False
        inode = inode_at(self.folder.path / name)
        if inode is None:
            # A process lets go of a deleted file once it has written another, which may be gone too.
            return not held.header.process_alive()
        if inode != held.inode:
            self._hold(name)
            return False
        return True

    def limit(self) -> int:
        """How many series a metric may have; 0 where nobody says."""
        return max((reader.header.limit for reader in self.readers.values()), default=0)

    def refuse(self, name: str, error: SegmentError) -> None:
        """Leaves a segment alone from now on, and says so."""
        reader = self.readers.pop(name, None)
        inode = reader.inode if reader else inode_at(self.folder.path / name)
        self._refused[name] = inode or (0, 0)
        self._say(f"a segment is not counted, and kept: {error}")

    def origin(self) -> tuple[int, int]:
        """Which life of the service this is, see Header. Raises OSError where nothing is left.

        Once told it stays: who exports has sent under its name.
        """
        if self._origin is None:
            self._origin = self._found_origin()
        return self._origin

    def _found_origin(self) -> tuple[int, int]:
        if self.base is not None and any(self.base.header.origin):
            return self.base.header.origin
        origins = {reader.header.origin for reader in self.readers.values()} - {(0, 0)}
        return min(origins, key=lambda origin: origin[1]) if origins else self.folder.origin()

    def _mine(self) -> list[str]:
        """This process's own segments: in memory, or in a file that may be deleted by now."""
        pid, path = os.getpid(), self.folder.path
        return [
            name
            for name, segment in list(own.items())
            if segment.pid == pid and segment.folder is not None and segment.folder.path == path
        ]

    def _hold(self, name: str) -> None:
        held = self.readers.get(name)
        mine = own.get(name)
        if mine is not None and mine.pid == os.getpid():
            if not isinstance(held, OwnSegmentReader) or held.writer is not mine:
                self.readers[name] = OwnSegmentReader(mine)
            return
        path = self.folder.path / name
        inode = inode_at(path)
        if inode is None or inode == (held.inode if held else self._refused.get(name)):
            return
        try:
            self.readers[name] = SegmentReader(path)
        except FileNotFoundError:
            pass  # folded meanwhile: then the base is another one
        except SegmentError as error:
            self._refused[name] = inode
            self._say(f"a segment is not counted, and kept: {error}")

    def _look_at_base(self) -> bool:
        """Maps the base; True if it is another one than before."""
        if self._folds and self._looked:
            return False  # from then on it is this process that writes it: see `adopt_base`
        self._looked = True
        inode = inode_at(self.folder.base)
        held = self.base.inode if self.base else self._refused.get(self.folder.base.name)
        if inode is None or inode == held:
            return False
        return self._map_base(inode)

    def _map_base(self, inode: tuple[int, int]) -> bool:
        try:
            base = SegmentReader(self.folder.base)
            self.base, self._folded = base, _folded(base)
            return True
        except FileNotFoundError:
            pass
        except SegmentError as error:
            self._refuse_base(inode, error)
        return False

    def _refuse_base(self, inode: tuple[int, int], error: SegmentError) -> None:
        self._refused[self.folder.base.name] = inode
        self._say(f"what was counted before is not read, and kept: {error}")

    def _base_was_replaced(self) -> bool:
        if self._folds:
            return False
        # What is held cannot give its inode to another file.
        inode = inode_at(self.folder.base)
        held = self.base.inode if self.base else self._refused.get(self.folder.base.name)
        return inode is not None and inode != held

    def _add_up(self) -> Totals:
        self.check_base()
        segments = []
        for name, reader in [*self.readers.items()]:
            try:
                reader.records()
            except SegmentError as error:
                self.refuse(name, error)
                continue
            # Until the dead are folded they are read here: their counts stand, their gauges go.
            segments.append((reader, not reader.dead()))
        return self._sums.read(self.base, segments)

    def _bound(self, totals: Totals) -> None:
        found = beyond(totals, self.limit())
        self.exceeded = set(found.kept)
        self.exceeded |= {p.metric.name for p in totals.points.values() if p.overflow}
        told = (key for keys in found.kept.values() for key in keys if key not in totals.settled)
        self.unsettled = any(totals.points[key].metric.type != "gauge" for key in told)
        merge(totals, found.surplus)


def _folded(base: SegmentReader) -> set[str]:
    return {r.key.decode("utf-8", "replace") for r in base.records() if r.kind == layout.FOLDED}
