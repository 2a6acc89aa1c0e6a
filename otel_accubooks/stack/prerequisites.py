"""The servers that come from the system's packages: which are missing, and getting them.

For the tests also those that may have to be built, which takes longer than a test may.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from otel_accubooks.stack.binaries import NotFoundError, find_collector, find_prometheus3

# program: the Debian package that brings it
PROGRAMS: Mapping[str, str] = {
    "initdb": "postgresql",
    "redis-server": "redis-server",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
}
# The tests look at the dashboards in a browser, and count what a request costs.
FOR_TESTS: Mapping[str, str] = {"chromium": "chromium", "valgrind": "valgrind", "cc": "gcc"}
_POSTGRES = Path("/usr/lib/postgresql")


def missing_packages(programs: Mapping[str, str] = PROGRAMS) -> list[str]:
    """The packages of those whose program is neither on PATH nor where Debian puts it."""
    missing = []
    for program, package in programs.items():
        found = shutil.which(program)
        if not found and program == "initdb":
            found = next((str(path) for path in _POSTGRES.glob("*/bin/initdb")), None)
        if not found and os.environ.get(program.upper()) is None:
            missing.append(package)
    return missing


def install(packages: list[str]) -> str | None:
    """Installs Debian packages as root; None, or what went wrong and what to do."""
    command = f"apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return f"missing on this machine: {', '.join(packages)}. Install them, e.g. sudo {command}"
    print(f"Installing {', '.join(packages)} ({command})", file=sys.stderr, flush=True)
    # Debian starts what it installs; this policy leaves that to us, for this installation alone.
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends"]):
        argv = ["apt-get", *arguments, *(packages if arguments[0] == "install" else [])]
        done = subprocess.run(argv, env=env, check=False, capture_output=True, text=True)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            return f"{' '.join(argv)} failed: {reason[0]}"
    return None


def main(*, for_tests: bool = False) -> int:
    """Gets what is missing; exit status 1 with one line where it cannot."""
    packages = missing_packages()
    if for_tests:
        packages += missing_packages(FOR_TESTS)
    problem = install(packages) if packages else None
    if for_tests and not problem:
        problem = _build()
    if problem:
        print(f"otel-accubooks: {problem}", file=sys.stderr)
        return 1
    return 0


def _build() -> str | None:
    try:
        find_collector()
        find_prometheus3()
    except NotFoundError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(for_tests="tests" in sys.argv[1:]))
