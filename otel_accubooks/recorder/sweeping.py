"""Removing what nobody owns: half-written files, and folders of services that never came back."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from otel_accubooks.recorder.files import is_locked, open_regular
from otel_accubooks.recorder.folder import StateFolder

HALF_WRITTEN_SECONDS = 600.0
ABANDONED_SECONDS = 30 * 86_400.0  # until then its next start sends what was not sent

_OF_A_SERVICE = re.compile(r"[0-9a-f]{16}")  # see `service_key`


def sweep(folder: StateFolder) -> None:
    """Removes what processes that were killed left half-written in `folder`. Never raises."""
    try:
        names = [name for name in os.listdir(folder.path) if name.startswith(".")]
    except OSError:
        return
    for name in names:
        path = folder.path / name
        try:
            if _age(path) > HALF_WRITTEN_SECONDS and not _in_use(path):
                path.unlink()
        except OSError:
            pass  # gone meanwhile


def sweep_abandoned(folder: StateFolder) -> None:
    """Removes the folders beside `folder` that nobody touched for 30 days. Never raises."""
    try:
        names = os.listdir(folder.path.parent)
    except OSError:
        return
    for name in names:
        other = StateFolder(folder.path.with_name(name))
        if name == folder.path.name or not _OF_A_SERVICE.fullmatch(name):
            continue
        try:
            if _abandoned(other):
                with other.membership(leaving=True):
                    if _abandoned(other):
                        other.remove()
        except OSError:
            pass  # another user's, or one that was just joined


def _abandoned(folder: StateFolder) -> bool:
    if not folder.lock_path("folder").exists():
        return False  # none of ours
    files = [path for path in folder.path.iterdir() if not path.is_socket()]
    young = any(_age(path) < ABANDONED_SECONDS for path in files)
    return not young and not any(_in_use(path) for path in files if path.name != "folder.lock")


def _age(path: Path) -> float:
    return time.time() - path.lstat().st_mtime


def _in_use(path: Path) -> bool:
    fd = open_regular(path)
    try:
        return is_locked(fd)
    finally:
        os.close(fd)
