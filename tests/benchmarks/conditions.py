"""Under which conditions something was measured: the machine, the versions, the state of the code."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def conditions() -> dict[str, str]:
    """What was measured, where and when, as short texts."""
    return {
        "date": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
    }


def _commit() -> str:
    """The commit of the checkout, with a `+` where its code has changed since."""

    def git(*arguments: str) -> str:
        argv = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "otel_accubooks", "collector", "pyproject.toml")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
