"""Environments of the benchmarks: one for each set of packages, exact versions, kept in the user's cache.

`lock/<name>.txt` says what is in it. "plugin" gets this checkout too, built and installed as a user
installs it, so it is made anew whenever a source changes.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = Path(__file__).with_name("lock")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-accubooks/bench"
KEPT_SECONDS = 3 * 3600.0
# What the wheel is made of.
_SOURCES = ("otel_accubooks", "collector", "pyproject.toml", "hatch_build.py")
_COMPILED = {".pyc", ".so"}


@functools.cache
def environment(name: str) -> Path:
    """The folder of the virtual environment `name`, made if it is not there yet.

    Asked again, this process gets the same one: all that is compared is of one state of the code.

    It has this interpreter's version of Python, and of packages what `lock/<name>.txt` says.
    Raises RuntimeError with pip's last lines if pip fails.
    """
    lock = LOCKS / f"{name}.txt"
    interpreter = Path(sys.executable).resolve()
    content = hashlib.sha256(f"{sys.version}\n{interpreter}\n{lock.read_text()}".encode())
    if name == "plugin":
        _add_sources(content)
    folder = CACHE / f"{name}-{content.hexdigest()[:16]}"
    with _alone(name):
        if not (folder / "ready").exists():
            print(f"making the environment {folder}", file=sys.stderr, flush=True)
            _make(folder, interpreter, lock, with_checkout=name == "plugin")
        (folder / "ready").touch()
        _forget(name, except_for=folder)
    return folder


def _make(folder: Path, interpreter: Path, lock: Path, *, with_checkout: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([str(interpreter), "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "-r", str(lock)])
    if with_checkout:
        _run([*pip, "--no-deps", str(ROOT)])


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-10:])
        raise RuntimeError(f"{' '.join(argv)} failed:\n{tail}")


def _add_sources(content: hashlib._Hash) -> None:
    for name in _SOURCES:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix not in _COMPILED:
                content.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Nobody else on this machine makes or removes environments `name` meanwhile."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget(name: str, *, except_for: Path) -> None:
    """Removes those of other versions that nobody has asked for in hours."""
    for folder in CACHE.glob(f"{name}-*"):
        ready = folder / "ready"
        used = ready.stat().st_mtime if ready.exists() else folder.stat().st_mtime
        if folder != except_for and time.time() - used > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
