"""A service on this host: its folder, who is in it, and what was counted there. Only read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from otel_accubooks.doctor.processes import Exporter, Processes, Running, in_container
from otel_accubooks.export.settings import DEFAULT_INTERVAL_MS, interval_seconds
from otel_accubooks.launch.environment_variables import OTEL_ACCUBOOKS_STATE_DIR
from otel_accubooks.launch.settings import read_settings
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Totals


@dataclass
class Service:
    """`named` is the folder as its processes name it, `folder` the same as it is reached from here."""

    named: str
    folder: Path
    members: list[Running] = field(default_factory=list)
    exporter: Exporter | None = None
    refused: list[str] = field(default_factory=list)

    @property
    def env(self) -> Mapping[str, str]:
        """The exporter's environment, which is what its processes had in mind; else a member's."""
        processes = [self.exporter.process] if self.exporter else []
        known = (one.env for one in [*processes, *self.members])
        return next((env for env in known if env), {})

    @property
    def name(self) -> str:
        """As it names itself; empty where it does not, or where nobody may know."""
        return service_identity(self.env).get("service.name", "")

    @property
    def job(self) -> str:
        """What Prometheus calls it."""
        identity = service_identity(self.env)
        namespace = identity.get("service.namespace", "")
        return f"{namespace}/{self.name}" if namespace else self.name

    @property
    def title(self) -> str:
        return self.name or f"the service in {self.named}"

    @property
    def interval(self) -> float:
        """Seconds between two exports."""
        try:
            return interval_seconds(self.env)
        except ValueError:
            return DEFAULT_INTERVAL_MS / 1000

    @property
    def elsewhere(self) -> bool:
        """True where the folder belongs to a container, whose host has another name."""
        return any(in_container(one.pid) for one in self.members[:1])

    @cached_property
    def reader(self) -> ServiceReader:
        return ServiceReader(StateFolder(self.folder), say=self.refused.append)

    @cached_property
    def totals(self) -> Totals:
        """What was counted, as of the first time that it is asked for."""
        return self.reader.read()

    def where(self) -> dict[str, Any]:
        return {"service": self.title, "file": self.named}


def expected_folder(one: Running) -> str:
    """Where a process keeps its counts, by its settings; empty where they could not be read."""
    if one.env is None:
        return ""
    found = read_settings(one.env).folder
    if parent := one.env.get(OTEL_ACCUBOOKS_STATE_DIR, "").strip():
        return os.path.normpath((one.cwd or Path("/")) / parent / found.name)
    shared = "/dev/shm" if one.seen("/dev/shm").is_dir() else tempfile.gettempdir()  # noqa: S108
    return f"{shared}/otel-accubooks-{one.user}/{found.name}"


def services(processes: Processes, chosen: bool) -> list[Service]:
    """Those of the applications; unless these were `chosen`, those that are left and those that send."""
    found: dict[object, Service] = {}

    def of(named: str, one: Running | None) -> Service:
        path = one.seen(named) if one else Path(named)
        return found.setdefault(_same(path), Service(named, path))

    for application in processes.applications:
        for member in application.members:
            for folder in member.folders:
                of(folder, member).members.append(member)
            expected = expected_folder(member) if member.launched and not member.folders else ""
            if expected and member.seen(expected).is_dir():
                service = of(expected, member)
                service.members.append(member)
    for exporter in processes.exporters:
        known = _same(exporter.process.seen(exporter.folder)) in found
        if known or not chosen:
            of(exporter.folder, exporter.process).exporter = exporter
    if not chosen:
        for path in _left():
            of(str(path), None)
    return list(found.values())


def _same(path: Path) -> object:
    """What a folder is known by, whatever the way to it; containers may share one, or a name."""
    try:
        there = path.stat()
    except OSError:
        return str(path)
    return there.st_dev, there.st_ino


def _left() -> list[Path]:
    """The folders of services in the places where they are by default."""
    found = []
    for place in {Path("/dev/shm"), Path(tempfile.gettempdir())}:  # noqa: S108
        for parent in sorted(place.glob("otel-accubooks-*")):
            try:
                found += [p for p in sorted(parent.iterdir()) if (p / "folder.lock").exists()]
            except OSError:
                continue  # another user's
    return found
