"""What the operating system knows: the host, and the processes of the service."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder.totals import Point

_LEAST_SECONDS = 1.0  # a share of CPU over less than that is noise


class Host:
    """Reads psutil; CPU shares are those since the last reading."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._last: tuple[float, list[Point]] = (0.0, [])
        psutil.cpu_percent(interval=None)

    def points(self, pids: set[int]) -> list[Point]:
        """The system group of the contract; `pids` are the live processes of the service."""
        now = time.monotonic()
        if now - self._last[0] >= _LEAST_SECONDS:
            self._last = now, list(self._points(pids))
        return self._last[1]

    def _points(self, pids: set[int]) -> Iterator[Point]:
        memory = psutil.virtual_memory()
        yield Point(m.SYSTEM_CPU_USAGE_PERCENT, (), value=psutil.cpu_percent(interval=None))
        used = float(memory.total - memory.available)
        yield Point(m.SYSTEM_MEMORY_USAGE_BYTES, (), value=used)
        yield Point(m.SYSTEM_MEMORY_USAGE_PERCENT, (), value=memory.percent)
        network = psutil.net_io_counters()
        if network is not None:
            yield from _io(
                m.SYSTEM_NETWORK_IO_BYTES_TOTAL,
                receive=network.bytes_recv,
                transmit=network.bytes_sent,
            )
        read, written = _disk_io()
        yield from _io(m.SYSTEM_DISK_IO_BYTES_TOTAL, read=read, write=written)
        yield from self._process_points(pids)

    def _process_points(self, pids: set[int]) -> Iterator[Point]:
        cpu, memory, seen = 0.0, 0, 0
        self._processes = {pid: p for pid, p in self._processes.items() if pid in pids}
        for pid in pids:
            try:
                process = self._processes.setdefault(pid, psutil.Process(pid))
                with process.oneshot():
                    cpu += process.cpu_percent(interval=None)
                    memory += process.memory_info().rss
                    seen += 1
            except psutil.Error:
                self._processes.pop(pid, None)
        if seen:
            yield Point(m.PROCESS_CPU_USAGE_PERCENT, (), value=cpu)
            yield Point(m.PROCESS_MEMORY_USAGE_BYTES, (), value=float(memory))


def _disk_io() -> tuple[int, int]:
    try:
        disk = psutil.disk_io_counters()
    except (RuntimeError, OSError, NotImplementedError):
        disk = None
    # A container without block devices has no counters: nothing was read from or written to disks.
    return (0, 0) if disk is None else (disk.read_bytes, disk.write_bytes)


def _io(metric: Metric, **directions: int) -> Iterator[Point]:
    for direction, value in directions.items():
        yield Point(metric, (direction,), start=psutil.boot_time(), value=float(value))
