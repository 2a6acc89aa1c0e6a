"""What nobody owns is removed, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from otel_accubooks.recorder.files import lock_file
from otel_accubooks.recorder.folder import StateFolder, service_key
from otel_accubooks.recorder.sweeping import sweep, sweep_abandoned
from tests.recorder.processes import record_and_die

MONTHS = 100 * 86_400.0


def aged(path: Path, seconds: float) -> Path:
    path.touch()
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_half_written_files_go_when_they_are_old(folder: StateFolder) -> None:
    """Those of the killed; what is being written, or in use, stays."""
    old = aged(folder.path / ".base-123", 3600)
    young = aged(folder.path / ".segment-1-abc", 5)
    shown = aged(folder.path / "base", 3600)
    sweep(folder)
    assert [path.exists() for path in (old, young, shown)] == [False, True, True]


@pytest.fixture
def other(folder: StateFolder) -> StateFolder:
    """The folder of another service, which was killed with counts that nobody sent."""
    made = StateFolder(folder.path.with_name(service_key({"service.name": "other"})))
    made.make()
    record_and_die(made, lambda recorder: recorder.join())
    return made


def age(folder: StateFolder) -> None:
    for path in folder.path.iterdir():
        aged(path, MONTHS)


def test_a_folder_that_nobody_came_back_to_goes(folder: StateFolder, other: StateFolder) -> None:
    """After a month; before, the next start of its service would send what is in it."""
    sweep_abandoned(folder)
    assert other.path.exists()
    age(other)
    sweep_abandoned(folder)
    assert not other.path.exists()


def test_a_folder_in_use_stays(folder: StateFolder, other: StateFolder) -> None:
    """However old its files are."""
    age(other)
    ready, made = os.pipe()
    pid = os.fork()
    if pid == 0:
        import signal

        lock_file(os.open(other.path / other.segments()[0], os.O_RDWR))
        os.write(made, b".")
        signal.pause()
    os.read(ready, 1)
    sweep_abandoned(folder)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert other.path.exists()


def test_what_is_not_ours_stays(folder: StateFolder) -> None:
    """Whatever else somebody keeps beside the folder."""
    like = folder.path.with_name("0123456789abcdef")
    like.mkdir()
    aged(like / "precious", MONTHS)
    (folder.path.with_name("notes")).mkdir()
    aged(folder.path.with_name("notes") / "folder.lock", MONTHS)
    sweep_abandoned(folder)
    assert (like / "precious").exists()
    assert (folder.path.with_name("notes") / "folder.lock").exists()
