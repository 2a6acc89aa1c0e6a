"""Programs that were downloaded or built, kept in the user's cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

Say = Callable[[str], None]


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/otel-accubooks, or ~/.cache/otel-accubooks."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "otel-accubooks"


def cached_path(name: str, inputs: Sequence[Path]) -> Path:
    """Where a program is kept that is made from the files `inputs` for this platform."""
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()}".encode())
    for path in inputs:
        digest.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return cache_folder() / f"{name}-{digest.hexdigest()[:16]}"


def install(path: Path, make: Callable[[Path], None], say: Say) -> Path:
    """Return `path`, after `make` has written it if it is not there yet.

    `make` is given a temporary path. It is called once, however many processes ask at the same
    time, and a program is there whole or not at all.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is making {path.name}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}-") as folder:
            made = Path(folder, "program")
            make(made)
            made.chmod(0o755)
            made.replace(path)
    return path
