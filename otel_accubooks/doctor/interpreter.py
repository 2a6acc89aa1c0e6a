"""The Python of an application, asked from beside it: its version, its packages, its paths."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_accubooks.doctor.processes import Running, in_container, launcher_entry
from otel_accubooks.recorder.files import effective_user

SECONDS = 20
_SITE = re.compile(r"(/.+)/lib/(python\d+\.\d+t?)/site-packages/")
_HANDED_ON = (
    "PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "VIRTUAL_ENV", "HOME",
    "LANG", "LD_LIBRARY_PATH",
)  # fmt: skip
# No module of the application is imported: only what is installed is listed.
_PROGRAM = """
import sys, json
from importlib import metadata
dists = []
for d in metadata.distributions():
    try:
        name = d.metadata["Name"]
        if not name: continue
        low = name.lower().replace("_", "-")
        entries = [[e.group, e.name, e.value] for e in d.entry_points
                   if e.group.startswith("opentelemetry_")]
        wanted = low.startswith(("opentelemetry", "otel-accubooks"))
        dists.append([low, d.version, (d.requires or []) if wanted else [], entries,
                      str(getattr(d, "_path", ""))])
    except Exception: pass
print(json.dumps({"version": list(sys.version_info[:3]), "executable": sys.executable,
                  "path": sys.path, "prefix": sys.prefix, "dists": dists}))
"""


@dataclass(frozen=True)
class Distribution:
    """An installed package; `entries` are those of OpenTelemetry's groups: group, name, object."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    entries: tuple[tuple[str, str, str], ...] = ()
    file: str = ""


@dataclass
class Interpreter:
    """`problem` says why it could not be asked; then the rest is empty."""

    python: str
    problem: str = ""
    version: tuple[int, ...] = ()
    prefix: str = ""
    path: list[str] = field(default_factory=list)
    distributions: list[Distribution] = field(default_factory=list)

    def has(self, name: str) -> str:
        """The version of a package, as imports find it; empty without it."""
        return next((d.version for d in self.distributions if d.name == name), "")

    def entries(self, group: str) -> list[tuple[str, str, str]]:
        """Name, object and package of each entry point of a group, in the launcher's order."""
        found, seen = [], set()
        for dist in self.distributions:
            if dist.name not in seen:
                seen.add(dist.name)
                found += [(n, o, dist.name) for g, n, o in dist.entries if g == group]
        return found


def python_of(one: Running) -> str:
    """The interpreter that runs a process, or the one of the same environment beside a server."""
    env = one.env or {}
    named = one.invocation.python
    if named and os.path.sep in named:
        return str((one.cwd or Path("/")) / named)
    if named:
        for folder in env.get("PATH", "").split(os.pathsep):
            if folder and os.access(os.path.join(folder, named), os.X_OK):
                return os.path.join(folder, named)
    for path in one.maps:
        if found := _SITE.match(path):
            return f"{found[1]}/bin/{found[2]}"
    beside = os.path.dirname(one.invocation.program)
    for folder in (
        *([beside] if os.path.isabs(beside) else []),
        f"{env.get('VIRTUAL_ENV', '')}/bin",
    ):
        if os.access(f"{folder}/python", os.X_OK):
            return f"{folder}/python"
    return ""


def ask(one: Running) -> Interpreter:
    """Asks the interpreter of a process, with its paths and as its user. Never raises."""
    python = python_of(one)
    if in_container(one.pid):
        return Interpreter(python, "it is in a container: run the doctor inside it")
    if not python:
        return Interpreter(python, "its interpreter could not be told from its command line")
    if effective_user() not in (0, one.user):
        return Interpreter(
            python, f"it is user {one.user}'s: run the doctor as that user, or as root"
        )
    env = _environment(one.env or {})
    # Never with more rights than the process itself has: its packages are its user's.
    as_user: dict[str, Any] = {}
    if effective_user() == 0 and one.user != 0:
        as_user = {"user": one.user, "group": one.group, "extra_groups": []}
    flags = [f"-{letter}" for letter in sorted(one.invocation.flags & set("Es"))]
    try:
        done = subprocess.run(
            [python, *flags, "-c", _PROGRAM],
            env=env, cwd=one.cwd or "/", capture_output=True, text=True, timeout=SECONDS, check=True,
            stdin=subprocess.DEVNULL, **as_user,
        )  # fmt: skip
        told = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return Interpreter(python, f"it could not be asked: {type(error).__name__}: {error}")
    dists = [
        Distribution(name, version, tuple(requires), tuple((g, n, o) for g, n, o in entries), file)
        for name, version, requires, entries, file in told["dists"]
    ]
    return Interpreter(
        python, "", tuple(told["version"]), told["prefix"], [p for p in told["path"] if p], dists
    )


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """What decides which packages are found, without the launcher: nothing is to be instrumented."""
    env = {name: given[name] for name in _HANDED_ON if name in given}
    launcher = launcher_entry(given)
    entries = env.get("PYTHONPATH", "").split(os.pathsep)
    if entries := [entry for entry in entries if entry and entry != launcher]:
        env["PYTHONPATH"] = os.pathsep.join(entries)
    else:
        env.pop("PYTHONPATH", None)
    return env
