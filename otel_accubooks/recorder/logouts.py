"""When somebody last left, told to all processes of a service: a visit does not go on over that.

It is a hint in few bytes. Users who share a place in it have their visits cut in two without need,
which changes nothing once they are joined.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from otel_accubooks.recorder.files import map_file, open_or_create
from otel_accubooks.recorder.fork import generation

_PLACES = 4096


class Logouts:
    """The times, in memory that the processes share."""

    def __init__(self, folder: Callable[[], Path | None]) -> None:
        """`folder` names the service's folder, or None where nothing is shared."""
        self._folder = folder
        self._generation = -1
        self._times = memoryview(bytearray(8 * _PLACES)).cast("d")

    def last(self, who: int) -> float:
        """The last time (Unix seconds) at which `who`, or somebody in the same place, left."""
        if self._generation != generation[0]:
            self._open()
        return self._times[who % _PLACES]

    def note(self, who: int, now: float) -> None:
        """Notes that `who` left."""
        if self._generation != generation[0]:
            self._open()
        self._times[who % _PLACES] = now

    def _open(self) -> None:
        self._generation = generation[0]
        try:
            folder = self._folder()
            if folder is not None:
                self._times = _mapped(folder / "logouts")
        except OSError:
            pass  # this process then knows of its own alone


def _mapped(path: Path) -> memoryview[float]:
    size = 8 * _PLACES
    fd = open_or_create(path)
    try:
        # A page that the file system cannot give kills the process that touches it (SIGBUS).
        if os.fstat(fd).st_size < size:
            os.pwrite(fd, bytes(size), 0)
        return memoryview(map_file(fd, size, write=True)).cast("d")
    finally:
        os.close(fd)
