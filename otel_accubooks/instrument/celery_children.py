"""What a Celery worker and the processes of its pool share: the last run of each process.

A child may be killed at any time; its worker then counts the run in its place. Two numbers for each
process say which run that is and whether it was counted. They are in memory without a file, at a
place that the process id gives, so that nothing has to be handed out.
"""

from __future__ import annotations

import mmap
import os
from time import monotonic

HANDED_OVER = "OTEL_ACCUBOOKS_CELERY_RUNS"  # the descriptor, for children that are spawned
_NAME = "otel-accubooks-runs"
_MOST_PIDS = 1 << 22  # of Linux on 64 bits
_ROW = 16  # when the last run began (monotonic), and 1 if it was counted
_BEGAN, _COUNTED = range(2)


class Runs:
    """The memory of one worker. Descriptor and pages are inherited by its children."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.owner = os.getpid()

    @classmethod
    def make(cls) -> Runs:
        """Raises OSError where there is no such memory."""
        descriptor = os.memfd_create(_NAME)
        os.ftruncate(descriptor, _MOST_PIDS * _ROW)  # pages are taken by those that are written
        return cls(descriptor)

    def of(self, pid: int) -> memoryview[float]:
        """The two numbers of a process. Raises OSError or ValueError where they cannot be had."""
        at = pid * _ROW
        page = at // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        memory = mmap.mmap(self.descriptor, mmap.ALLOCATIONGRANULARITY, offset=page)
        return memoryview(memory)[at - page : at - page + _ROW].cast("d")

    def claim(self, pid: int, since: float) -> bool:
        """True if the run of a child, begun after `since`, was not counted: it is to be, now."""
        row = self.of(pid)
        if row[_BEGAN] < since:
            return True  # it never began
        if row[_COUNTED]:
            return False
        row[_COUNTED] = 1.0
        return True


runs: Runs | None = None


def share() -> Runs | None:
    """To be called in a worker before its pool is made; None where nothing can be shared."""
    global runs
    if runs is None or runs.owner != os.getpid():
        try:
            runs = Runs.make()
        except (AttributeError, OSError):
            runs = None
    return runs


class OwnRun:
    """The run that goes on in this process, if it is a process of a pool."""

    def __init__(self) -> None:
        self._pid = 0
        self._row: memoryview[float] | None = None

    def begin(self) -> None:
        """Notes that a run begins."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._row = _own_row()
        if self._row is not None:
            self._row[_COUNTED] = 0.0
            self._row[_BEGAN] = monotonic()

    def claim(self) -> bool:
        """True if the run was not counted by the worker: it is to be, now."""
        row = self._row
        if row is None:
            return True  # threads, greenlets and the worker itself: nobody else counts
        if row[_COUNTED]:
            return False
        row[_COUNTED] = 1.0
        return True


own_run = OwnRun()


def _own_row() -> memoryview[float] | None:
    try:
        if runs is None:
            return _spawned_row()
        return runs.of(os.getpid()) if os.getppid() == runs.owner else None
    except (OSError, ValueError):
        return None


def _spawned_row() -> memoryview[float] | None:
    given = os.environ.get(HANDED_OVER)
    if given is None:
        return None
    path = f"/proc/{os.getppid()}/fd/{int(given)}"
    if _NAME not in os.readlink(path):
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return Runs(descriptor).of(os.getpid())
    finally:
        os.close(descriptor)
