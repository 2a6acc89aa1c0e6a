"""The processes of this machine: which are applications, and which run with otel-accubooks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from otel_accubooks.doctor.command_line import Invocation, imports_of, parse, shown
from otel_accubooks.recorder.segment import SEGMENT_PREFIX

LAUNCHER = "opentelemetry/instrumentation/auto_instrumentation"
_EXPORTER = "otel_accubooks.export.main"
_SEGMENT = re.compile(rf"(/.*)/\.?{SEGMENT_PREFIX}\d+-\w+")
_OURS = ("otel-accubooks", "otel_accubooks")
_MARKUP = "markupsafe/_speedups"  # what every Flask application maps


@dataclass(frozen=True)
class Running:
    """One process. `env` is None where it could not be read; it is as the process was started."""

    pid: int
    parent: int
    user: int
    group: int
    argv: tuple[str, ...]
    invocation: Invocation
    env: Mapping[str, str] | None
    cwd: Path | None
    started: float
    folders: tuple[str, ...]  # those in which it has a segment, as it names them itself
    maps: tuple[str, ...] = ()
    stopped: bool = False

    @property
    def launched(self) -> bool:
        """True where the launcher's folder is on its PYTHONPATH."""
        return bool(self.env and launcher_entry(self.env))

    @property
    def command(self) -> str:
        return shown(self.argv)

    @property
    def root(self) -> Path:
        """Where its files are found from here: another place where its mounts are others."""
        return Path(f"/proc/{self.pid}/root") if _other_mounts(self.pid) else Path("/")

    def seen(self, path: str | Path) -> Path:
        """A path of that process, absolute or relative, as it is reached from here."""
        whole = (self.cwd or Path("/")) / path
        return whole if self.root == Path("/") else self.root / str(whole).lstrip("/")

    def where(self) -> dict[str, Any]:
        """For a finding."""
        return {"pid": self.pid, "command": self.command}


@dataclass(frozen=True)
class Application:
    """A tree of processes: `first`, whose parent is of no application, and those below it."""

    first: Running
    others: tuple[Running, ...] = ()

    @property
    def members(self) -> tuple[Running, ...]:
        return (self.first, *self.others)

    @property
    def launched(self) -> bool:
        return any(one.launched for one in self.members)

    @property
    def counts(self) -> bool:
        """True where a process of it has a segment."""
        return any(one.folders for one in self.members)

    @property
    def server(self) -> str:
        return self.first.invocation.server or "python"

    def __str__(self) -> str:
        return f"{self.server} (pid {self.first.pid})"


@dataclass(frozen=True)
class Exporter:
    """The process that sends for the services in `folder`, as it names it itself."""

    process: Running
    folder: str


@dataclass
class Processes:
    """What runs here. `unread` are applications of which the environment could not be read."""

    applications: list[Application] = field(default_factory=list)
    exporters: list[Exporter] = field(default_factory=list)
    unread: list[Running] = field(default_factory=list)
    looked_at: int = 0


def launcher_entry(env: Mapping[str, str]) -> str:
    """The launcher's folder in PYTHONPATH, or nothing."""
    entries = env.get("PYTHONPATH", "").split(os.pathsep)
    return next((entry for entry in entries if entry.rstrip("/").endswith(LAUNCHER)), "")


def _other_mounts(pid: int) -> bool:
    """True where the process sees another tree of files; False where nobody can tell."""
    try:
        return os.readlink("/proc/self/ns/mnt") != os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return False


def in_container(pid: int) -> bool:
    """True where the process has another root than this one; False where nobody can tell."""
    try:
        here, there = os.stat("/"), os.stat(f"/proc/{pid}/root")
    except OSError:
        return False
    return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)


def look(pids: Sequence[int] = (), service: str = "") -> Processes:
    """Everything that runs; with `pids` only these and what is below them.

    With `service`, applications that name themselves otherwise are left out.
    """
    table: dict[int, psutil.Process] = {}
    parents: dict[int, int] = {}
    for process in psutil.process_iter(["ppid"]):
        table[process.pid] = process
        parents[process.pid] = process.info["ppid"] or 0
    found = Processes(looked_at=len(table))
    mine = set(_above(os.getpid(), parents))
    chosen = {pid for pid in table if not pids or set(pids) & set(_above(pid, parents))}
    running: dict[int, Running] = {}
    for pid in sorted(table):
        if pid in mine and pid not in pids:
            continue
        one = _read(table[pid], parents[pid])
        if one is None:
            continue
        if _EXPORTER in one.invocation.code:
            folder = one.invocation.arguments[0] if one.invocation.arguments else ""
            found.exporters.append(Exporter(one, folder))
        elif pid in chosen and (pid in pids or _is_application(one)):
            running[pid] = one
    for application in _trees(running, parents):
        named = (application.first.env or {}).get("OTEL_SERVICE_NAME")
        if not (service and named and named != service):
            found.applications.append(application)
            if application.first.env is None:
                found.unread.append(application.first)
    return found


def _above(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    seen = set()
    while pid and pid not in seen:
        seen.add(pid)
        yield pid
        pid = parents.get(pid, 0)


def _trees(running: Mapping[int, Running], parents: Mapping[int, int]) -> list[Application]:
    below: dict[int, list[Running]] = {}
    for pid in running:
        *_, first = (above for above in _above(pid, parents) if above in running)
        below.setdefault(first, [])
        if first != pid:
            below[first].append(running[pid])
    return [Application(running[first], tuple(others)) for first, others in below.items()]


def _read(process: psutil.Process, parent: int) -> Running | None:
    """What may be read of a process that could be an application; None for others."""
    try:
        with process.oneshot():
            argv = tuple(process.cmdline())
            invocation = parse(argv)
            python = bool(invocation.python or invocation.server)
            folders = _folders(process.pid) if python or not argv else ()
            status = process.status()
            if not argv or not (python or folders) or status == psutil.STATUS_ZOMBIE:
                return None
            user, group = process.uids().effective, process.gids().effective
            started = process.create_time()
    except (psutil.Error, OSError):
        return None
    cwd = _attempted(lambda: Path(process.cwd()))
    maps = tuple(_maps(process.pid))
    env, stopped = _environment(process), status == psutil.STATUS_STOPPED
    return Running(
        process.pid, parent, user, group, argv, invocation, env, cwd, started, folders, maps, stopped
    )  # fmt: skip


def _attempted(ask: object) -> Path | None:
    try:
        found = ask()  # type: ignore[operator]
    except (psutil.Error, OSError):
        return None
    return found if isinstance(found, Path) else None


def _environment(process: psutil.Process) -> dict[str, str] | None:
    try:
        env = dict(process.environ())
    except (psutil.Error, OSError):
        return None
    # Who writes a title into its command line, as setproctitle does, overwrites what is behind it.
    return env if any(name in env for name in ("PATH", "PYTHONPATH", "HOME", "PWD")) else None


def _folders(pid: int) -> tuple[str, ...]:
    """The folders in which the process has a segment, which it holds open all its life."""
    found = set()
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        names = []
    for name in names:
        try:
            match = _SEGMENT.match(os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:
            continue
        if match:
            found.add(match[1])
    return tuple(sorted(found))


def _maps(pid: int) -> Iterator[str]:
    """Shared libraries that the process has loaded."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            yield from sorted({line.split(None, 5)[-1].strip() for line in file if ".so" in line})
    except OSError:
        return


def _is_application(one: Running) -> bool:
    made = one.invocation
    if os.path.basename(made.program) in _OURS or made.module.startswith(_OURS):
        return False
    if made.server or one.folders:
        return True
    if one.launched:
        return not made.code.startswith("from multiprocessing")
    if made.code or not (made.program or made.module):
        return False
    if imports_of(made, one.cwd):
        return True
    tool = os.path.basename(os.path.dirname(made.program)) == "bin"  # Jupyter and its like
    return not tool and any(_MARKUP in path for path in one.maps) and bool(ports(one.pid))


def ports(pid: int) -> list[tuple[str, int]]:
    """Addresses at which the process listens by TCP; none where it may not be asked."""
    try:
        process = psutil.Process(pid)
        asked = getattr(process, "net_connections", None) or process.connections  # before psutil 6
        connections = asked("tcp")
    except (psutil.Error, OSError):
        return []
    return sorted(
        {(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}
    )
