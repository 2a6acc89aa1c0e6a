"""An application of gunicorn's under the launcher, and its exporter."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from otel_accubooks.stack.ports import tcp_open
from otel_accubooks.stack.process import Server

BIN = Path(sys.executable).parent


def environment(**settings: str) -> dict[str, str]:
    """This process's own, with `settings`, and the programs of its virtual environment first."""
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **settings}


def gunicorn(folder: Path, port: int, env: Mapping[str, str], *, workers: int) -> Server:
    """`app:app` of `folder`, whose log is server.log there."""
    command = ["gunicorn", "-b", f"127.0.0.1:{port}", "-w", str(workers), "app:app"]
    return Server(
        "gunicorn",
        [str(BIN / "opentelemetry-instrument"), *command],
        log=folder / "server.log",
        env=env,
        cwd=folder,
        ready=lambda: tcp_open(port),
    )


def exporters(state: Path) -> list[psutil.Process]:
    """The exporters whose shared counts are in `state`, found by it in their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if any("otel_accubooks.export" in part for part in line) and any(
            part.startswith(str(state)) for part in line
        ):
            found.append(process)
    return found
