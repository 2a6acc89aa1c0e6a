"""Writes docs/performance.md from all results that are there: `python -m tests.benchmarks.page`."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
PLOTS = DOCS / "performance"
RESULTS = PLOTS / "results"
# In the order of the page.
BENCHMARKS = (
    "requests_instructions",
    "requests_cpu",
    "starting",
    "tail",
    "exporting",
    "freshness",
    "notification",
    "gateway",
    "growth",
)
INTRODUCTION = """\
<!-- Written by `make bench`. -->

# What it costs

Everything here was measured beside its peers, in one run on one machine, by `make bench`, which installs
them into `~/.cache/otel-accubooks/bench`; `make bench ONLY=exporting` measures one part anew. Instruction
counts are those of user space, by callgrind: they hold on a busy machine, where times do not. What is
compared in CPU time ran in turns, bare twice: the difference of those two is the noise.
"""


def write() -> None:
    """Writes the page and its plots."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    parts = [INTRODUCTION]
    for name in BENCHMARKS:
        path = RESULTS / f"{name}.json"
        if path.exists():
            measured = json.loads(path.read_text())
            module = importlib.import_module(f"tests.benchmarks.{name}")
            section = module.report(measured["results"], PLOTS).strip()
            parts.append(f"## {module.TITLE}\n\n{section}\n\n{_under(measured['conditions'])}\n")
    (DOCS / "performance.md").write_text("\n".join(parts))


def _under(conditions: dict[str, Any]) -> str:
    """The line below each part: it may be of another day than the others."""
    return (
        "Measured {date} at commit {commit}, with Python {python}, on {processor}, {memory}, "
        "Linux {kernel}."
    ).format_map(conditions)


if __name__ == "__main__":
    write()
