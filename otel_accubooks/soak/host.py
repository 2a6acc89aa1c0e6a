"""The processes of services on this host: the exporter of each, and those that it speaks for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from otel_accubooks.export.resource import INSTANCE_ID, instance_id
from otel_accubooks.export.spawn import read_problem
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.reader import SegmentReader
from otel_accubooks.recorder.segment import SegmentError

_EXPORTER = "otel_accubooks.export.main"


@dataclass(frozen=True)
class Use:
    """What processes use: resident bytes, CPU seconds since their start, open descriptors."""

    rss: float = 0.0
    cpu: float = 0.0
    files: float = 0.0

    def __add__(self, other: Use) -> Use:
        return Use(self.rss + other.rss, self.cpu + other.cpu, self.files + other.files)


@dataclass(frozen=True)
class Look:
    """One service of this host at one moment, `at` in Prometheus's Unix seconds.

    `job` and `instance` are what Prometheus knows it by: another deployment may have the same name.
    `exporter` is what its exporter, the process `pid`, uses; `service` what its own `processes` do;
    `problem` what the exporter says that is wrong.
    """

    at: float
    job: str
    instance: str
    pid: int
    exporter: Use
    processes: tuple[int, ...]
    service: Use
    problem: str | None


def look(at: float) -> Iterator[Look]:
    """Every service of this host that may be looked at; others' may not."""
    for process in psutil.process_iter():
        try:
            folder = _folder(process.cmdline())
            if folder is not None and process.status() != psutil.STATUS_ZOMBIE:
                yield _look(at, process, folder)
        except (psutil.Error, OSError):
            continue  # it has ended, or is another user's


def _folder(argv: list[str]) -> StateFolder | None:
    """The folder of the service that the process with these arguments exports."""
    for program, path in itertools.pairwise(argv):
        if f"from {_EXPORTER} import" in program and Path(path).is_absolute():
            return StateFolder(Path(path))
    return None


def _look(at: float, process: psutil.Process, folder: StateFolder) -> Look:
    told = service_identity(process.environ())
    name, namespace = told.get("service.name", ""), told.get("service.namespace", "")
    own: dict[int, Use] = {}
    for pid in _alive(folder):
        try:
            own[pid] = _use(psutil.Process(pid))
        except psutil.Error:
            continue
    return Look(
        at,
        f"{namespace}/{name}" if namespace else name,
        told.get(INSTANCE_ID) or instance_id(folder.path, folder.origin()),
        process.pid,
        _use(process),
        tuple(own),
        sum(own.values(), Use()),
        read_problem(folder.path / "status"),
    )


def _alive(folder: StateFolder) -> list[int]:
    """The processes of the service that run."""
    pids = set()
    for name in folder.segments():
        try:
            header = SegmentReader(folder.path / name).header
        except (SegmentError, OSError):
            continue
        if header.process_alive():
            pids.add(header.pid)
    return sorted(pids)


def _use(process: psutil.Process) -> Use:
    with process.oneshot():
        times = process.cpu_times()
        rss = float(process.memory_info().rss)
    return Use(rss, times.user + times.system, float(process.num_fds()))
