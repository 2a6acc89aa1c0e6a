"""Style, types and layers: what `make lint` checks, so that one command says everything."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_make_lint_finds_nothing() -> None:
    """ruff, mypy --strict and import-linter are content."""
    done = subprocess.run(["make", "lint"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
