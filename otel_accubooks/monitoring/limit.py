"""How often is answered, by all workers of a host together: a flood costs no more than that."""

from __future__ import annotations

import math
import mmap
import os
import struct
import time
from pathlib import Path

from otel_accubooks.recorder.process import recorder

PER_SECOND = 20.0
AT_ONCE = 100.0
_STATE = struct.Struct("dd")  # what is left, and when that was (monotonic seconds)


class Limit:
    """Lets AT_ONCE pass, and PER_SECOND from then on.

    Without a lock, which a process that hangs could hold: of two workers that ask in the same
    microsecond, both may pass for one. A process that has no `path` to share counts for itself.
    """

    def __init__(self, path: Path | None) -> None:
        self._state = _shared(path) or bytearray(_STATE.size)

    def passes(self) -> bool:
        """True where one more is answered now."""
        left, then = _STATE.unpack_from(self._state)
        now = time.monotonic()  # after whatever another worker wrote
        if not (0 < then <= now and 0 <= left <= AT_ONCE):
            left, then = AT_ONCE, now  # new, damaged, or of before a restart of the machine
        left = min(AT_ONCE, left + (now - then) * PER_SECOND)
        passed = left >= 1
        _STATE.pack_into(self._state, 0, left - passed, now)
        return bool(passed)

    def seconds(self) -> int:
        """After how many seconds it is worth to ask again: at least 1."""
        left: float = _STATE.unpack_from(self._state)[0]
        return max(1, math.ceil((1 - left) / PER_SECOND))


class Limits:
    """Those of the service that this process belongs to."""

    def __init__(self) -> None:
        self._segment: object = None
        self._made: dict[str, Limit] = {}

    def answers(self) -> Limit:
        """Of what only those ask who are let in."""
        return self._of("answers")

    def refusals(self) -> Limit:
        """Of those who are not let in."""
        return self._of("refusals")

    def health(self) -> Limit:
        """Of how often health is looked at anew."""
        return self._of("health")

    def _of(self, what: str) -> Limit:
        if self._segment is not recorder.segment:
            self._segment, self._made = recorder.segment, {}  # a folder, or another one
        if (known := self._made.get(what)) is None:
            folder = recorder.folder.path if recorder.folder and recorder.segment else None
            known = self._made[what] = Limit(folder / f"limit-{what}" if folder else None)
        return known


def _shared(path: Path | None) -> mmap.mmap | None:
    if path is None:
        return None
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(fd).st_size < _STATE.size:
                os.write(fd, bytes(_STATE.size))  # room that is not there would be a signal later
            return mmap.mmap(fd, _STATE.size)
        finally:
            os.close(fd)
    except (OSError, ValueError):
        return None  # no room, or no right: for this process alone
