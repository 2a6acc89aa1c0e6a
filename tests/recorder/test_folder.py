"""The folder of a service: private, and refused where it is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import fork
from otel_accubooks.recorder.folder import FolderError, StateFolder
from otel_accubooks.recorder.presence import deployment_secret
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader
from tests.recorder.processes import values


def test_it_is_private(tmp_path: Path) -> None:
    """Nobody else can read the folder or the one above it."""
    folder = StateFolder(tmp_path / "a" / "b")
    folder.make()
    folder.make()
    assert [path.stat().st_mode & 0o777 for path in (folder.path, folder.path.parent)] == [
        0o700
    ] * 2


@pytest.mark.parametrize("above", [False, True])
def test_one_that_others_may_write_is_refused(tmp_path: Path, above: bool) -> None:
    """It could be replaced under us: the message says how to mend it."""
    folder = StateFolder(tmp_path / "a" / "b")
    folder.make()
    (folder.path.parent if above else folder.path).chmod(0o777)
    with pytest.raises(FolderError, match="can be written by others: chmod go-w"):
        folder.make()


def test_a_sticky_parent_is_fine(tmp_path: Path) -> None:
    """/tmp and /dev/shm may be written by everybody, but not what is ours in them."""
    (tmp_path / "shm").mkdir()
    (tmp_path / "shm").chmod(0o1777)
    StateFolder(tmp_path / "shm" / "service").make()


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made it first, it is not used unless it is ours."""
    folder = StateFolder(tmp_path / "a" / "b")
    folder.make()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(FolderError, match=f"belongs to user {owner}, expected .* 12345"):
        folder.make()


def test_a_link_is_refused(tmp_path: Path) -> None:
    """A symbolic link in the place of the folder is not followed."""
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "a" / "b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderError):
        StateFolder(tmp_path / "a" / "b").make()


def test_removal_and_joining_exclude_each_other(tmp_path: Path) -> None:
    """Who waited while the folder was removed is told to make it anew."""
    folder = StateFolder(tmp_path / "a" / "b")
    folder.make()
    fd = folder.open_lock("folder")
    with folder.membership(leaving=True):
        folder.remove()
    os.close(fd)
    with pytest.raises(FileNotFoundError), folder.membership():
        pass


@pytest.mark.usefixtures("bound")
def test_nobody_waits_for_one_that_does_not_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped while it removes the folder, it holds up no request: counts stay in memory meanwhile."""
    folder = StateFolder(tmp_path / "a" / "b")
    folder.make()
    ready, held = os.pipe()
    if (pid := os.fork()) == 0:
        with folder.membership(leaving=True):
            os.write(held, b".")
            signal.pause()
    os.read(ready, 1)
    try:
        fork.generation[0] = 0
        recorder = Recorder(StateFolder(folder.path))
        recorder.counter(m.CACHE_HITS_TOTAL).labels().add(3)
        assert recorder.memory is not None
        assert "held by a process that does not go on" in caplog.text
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    recorder.rejoin()
    assert recorder.memory is None
    assert values(ServiceReader(folder).read(), m.CACHE_HITS_TOTAL) == {(): 3}


def test_all_processes_have_the_same_secret(tmp_path: Path) -> None:
    """Whoever makes it, everybody reads the same whole key."""
    secrets = []
    for _ in range(20):
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, deployment_secret(tmp_path))
            os._exit(0)
        secrets.append(read)
    found = {os.read(read, 100) for read in secrets}
    assert len(found) == 1
    assert len(found.pop()) == 32
