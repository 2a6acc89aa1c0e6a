"""The process in which a service was started, told apart from a later one with the same id."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

_IN_1970 = 10**11  # beyond it, `process_ticks` are milliseconds since then


class Root(NamedTuple):
    """The process in which the service was started; it outlives workers that come and go."""

    pid: int
    ticks: int
    started: float

    @classmethod
    def of_this_process(cls) -> Root:
        return cls(os.getpid(), process_ticks(os.getpid()) or 0, time.time())

    def age(self, now: float) -> float:
        """For how many seconds the process has run; `now` is Unix seconds."""
        if 0 < self.ticks < _IN_1970 and hasattr(time, "CLOCK_BOOTTIME"):  # which nobody can set
            since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
            age = since_boot - self.ticks / os.sysconf("SC_CLK_TCK")
            if age >= 0.0:
                return age
        return max(0.0, now - self.started)

    def alive(self) -> bool:
        """True while the process runs: same id, same time of start."""
        return is_alive(self.pid, self.ticks)


def is_alive(pid: int, ticks: int) -> bool:
    """True while the process that was started at `ticks` (see `process_ticks`) runs."""
    return ticks > 0 and process_ticks(pid) == ticks


def process_ticks(pid: int) -> int | None:
    """When the process was started, in a unit of the system; None if there is no such process.

    On Linux clock ticks since boot (proc(5), stat, field 22), elsewhere milliseconds since 1970.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None if os.path.exists("/proc/self/stat") else _created(pid)
    return None if fields[0] == b"Z" else int(fields[19])


def _created(pid: int) -> int | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return round(process.create_time() * 1000)
    except psutil.Error:
        return None
