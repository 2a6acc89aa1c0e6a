"""Wrong configuration of every kind, given to the real thing; and what it said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[2]
SECONDS = 120
SERVED = "served"
APPLICATION = """
import sys
from flask import Flask
app = Flask("books")
@app.get("/x")
def x():
    return "fine"
print("served", file=sys.stderr, flush=True)
assert app.test_client().get("/x").text == "fine"
"""


@dataclass(frozen=True)
class Told:
    """How a process ended, and the lines it wrote; `at_start` are those before the first request."""

    status: int
    lines: tuple[str, ...]
    at_start: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The last line that has words: what a person sees."""
        return next((line for line in reversed(self.lines) if line.strip()), "")

    @property
    def traceback(self) -> bool:
        """Whether a traceback was shown."""
        return any(line.startswith(("Traceback", "  File ")) for line in self.lines)


def application(folder: Path, env: Mapping[str, str]) -> Told:
    """An application under the launcher that makes one request; of its lines those that we wrote."""
    done = run(
        [PROGRAMS / "opentelemetry-instrument", sys.executable, "-c", APPLICATION],
        folder,
        {
            "OTEL_SERVICE_NAME": "configuration",
            "OTEL_ACCUBOOKS_STATE_DIR": str(folder / "state"),
            "OTEL_METRICS_EXPORTER": "none",
            **env,
        },
    )
    lines = done.stderr.splitlines()
    before = lines.index(SERVED) if SERVED in lines else len(lines)
    return Told(done.returncode, tuple(lines), tuple(_ours(lines[:before])))


def _ours(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.startswith("otel-accubooks: ")]


def command(
    folder: Path, words: Sequence[str | Path], env: Mapping[str, str] | None = None
) -> Told:
    """`otel-accubooks` with these words, in `folder`."""
    done = run([PROGRAMS / "otel-accubooks", *words], folder, env or {})
    return Told(done.returncode, tuple((done.stdout + done.stderr).splitlines()))


def run(
    argv: Sequence[str | Path], folder: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    ours = ("OTEL_", "DD_", "NEW_RELIC_", "GRAFANA_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        argv,
        env={**kept, **env},
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        errors="backslashreplace",
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
    )
