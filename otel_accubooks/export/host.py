"""What the operating system knows: the host, and the processes of the service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder.files import replace_file
from otel_accubooks.recorder.totals import Point

_LEAST_SECONDS = 1.0  # a share of CPU over less than that is noise


class Host:
    """Reads psutil; CPU shares are those since the last reading.

    The host's counters began with the host: they are told from where they were when the service
    was first seen, which `kept` remembers, so that they are as much growth as any other.
    """

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self._began: dict[str, float] = {}
        try:
            if kept is not None:
                self._began = json.loads(kept.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            pass
        self._told: dict[str, float] = {}
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
            yield from self._io(
                m.SYSTEM_NETWORK_IO_BYTES_TOTAL,
                receive=network.bytes_recv,
                transmit=network.bytes_sent,
            )
        read, written = _disk_io()
        yield from self._io(m.SYSTEM_DISK_IO_BYTES_TOTAL, read=read, write=written)
        yield from self._process_points(pids)

    def _io(self, metric: Metric, **directions: int) -> Iterator[Point]:
        for direction, value in directions.items():
            name = f"{metric.name} {direction}"
            if name not in self._began:
                self._began.setdefault("time", time.time())
                self._began[name] = value
                self.keep()
            # An interface that goes takes its bytes along; a total never runs backwards.
            grown = max(self._told.get(name, 0.0), float(value - self._began[name]))
            self._told[name] = grown
            yield Point(metric, (direction,), start=self._began["time"], value=grown)

    def keep(self) -> None:
        """Writes what is remembered; again, where the file was deleted."""
        try:
            if self._kept is not None:
                replace_file(self._kept, json.dumps(self._began))
        except OSError:
            pass  # a successor then begins from where the host is by then

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
