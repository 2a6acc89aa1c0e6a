"""What a page types that cannot be had here, and what is carried out in its place, with the reason.

Each stand-in is a command on the PATH of a page's shell; `\\command` is the real one. Whoever adds one
says why. What a stand-in prints is not what the real one would, so it is compared with nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from otel_accubooks.stack.binaries import find_collector, find_prometheus3
from otel_accubooks.stack.files import REPOSITORY


@dataclass(frozen=True)
class StandIn:
    """`script` is what `sh` runs in place of the command; `prints` whether its output is the real one."""

    reason: str
    script: str
    prints: bool = False


# As this test runs itself: with no stand-in before it, and with what is kept at home.
_HERE = f'HOME="{Path.home()}" PATH="${{PATH#*:}}" PYTHONPATH="{REPOSITORY}"'
_PYTHON = f'{_HERE} exec "{sys.executable}" -m'
_COLLECTOR = StandIn(
    "the collector that was found or built for all tests, under the name that its release has",
    'exec "$(cat "$(dirname "$0")/.collector")" "$@"',
    prints=True,
)

STAND_INS: dict[str, StandIn] = {
    "otelcol-contrib": _COLLECTOR,
    "otelcol-accubooks": _COLLECTOR,
    "prometheus": StandIn(
        "the Prometheus 3 that was found or built for all tests",
        'exec "$(cat "$(dirname "$0")/.prometheus")" "$@"',
        prints=True,
    ),
    "otel-accubooks": StandIn(
        "`up` listens on the usual ports, which are somebody else's here; all else is run as it is",
        f'case $1 in up) {_PYTHON} tests.docs.up "$@";; *) exec {{real}} "$@";; esac',
        prints=True,
    ),
    "curl": StandIn(
        "an answer of 400 or more fails the page, and there is no progress bar",
        'exec {real} -sS --fail-with-body "$@"',
        prints=True,
    ),
    "redis-cli": StandIn(
        "the Redis of the deployment has a port of its own",
        'exec {real} -p "$REDIS_PORT" "$@"',
        True,
    ),
    "pip": StandIn(
        "this environment is not changed: what is to be installed has to be what the tests run with",
        'case $1 in uninstall) shift 2; exec {real} show -q "$@";; *) '
        'exec {real} "$@" --dry-run --no-index --disable-pip-version-check;; esac',
    ),
    "python": StandIn(
        "pictures take five minutes and Chromium: their program is only found; all else is run as it is",
        'case "$*" in *otel_accubooks.stack.screenshots*) '
        'exec {real} -c "import otel_accubooks.stack.screenshots";; *) exec {real} "$@";; esac',
        prints=True,
    ),
    "kubectl": StandIn(
        "no cluster: kustomize builds it, and each resource is held against its schema",
        f'{_PYTHON} tests.docs.kubectl "$@"',
    ),
    "docker": StandIn(
        "no engine: the files that it would read are read, and have to have what they name",
        f'{_PYTHON} tests.docs.docker "$@"',
    ),
    "make": StandIn(
        "the tests cannot start themselves; demo and drills are started by tests/cli and by CI",
        'exec {real} -n "$@"',
    ),
    "dmesg": StandIn(
        "the kernel's log is not for everybody to read", "command -v {real} > /dev/null"
    ),
    "chown": StandIn(
        "not every machine has the user, nor the right: the files have to be there",
        'shift; exec ls -d "$@"',
    ),
    "install": StandIn(
        "the same about the owner of what is made",
        'for a; do shift; case $skip$a in -o) skip=1;; 1*) skip=;; *) set -- "$@" "$a";; esac; done; '
        'exec {real} "$@"',
    ),
    "go": StandIn(
        "compiling takes minutes; tests/stack/test_gobuild.py has the same commands",
        f'{_PYTHON} tests.docs.gobuild go "$@"',
    ),
    "builder": StandIn(
        "it is what `go install` would have built",
        f'{_PYTHON} tests.docs.gobuild builder "$@"',
    ),
}


def put_into(folder: Path) -> None:
    """Makes a folder for PATH of them."""
    folder.mkdir()
    (folder / ".collector").write_text(str(find_collector()))
    (folder / ".prometheus").write_text(str(find_prometheus3()))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for name, stand_in in STAND_INS.items():
        real = shutil.which(name, path=path) or f"{name}-is-not-installed"
        script = folder / name
        script.write_text(f"#!/bin/sh\n{stand_in.script.replace('{real}', real)}\n")
        script.chmod(0o755)
