"""Starting the exporter from the application's process."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from otel_accubooks.export import spawn
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.locks import ExporterLock


def test_the_exporter_never_holds_what_its_server_hands_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while it starts: a listening socket of a killed server would still take connections."""
    told = "import os, sys; os.mkdir(sys.argv[1] + '/' + ' '.join(os.listdir('/proc/self/fd')))"
    monkeypatch.setattr(spawn, "_PROGRAM", told)
    read, write = os.pipe()
    os.dup2(write, 200, inheritable=True)
    try:
        spawn.start_exporter(StateFolder(tmp_path))
        os.waitpid(spawn._started.pop(), 0)
    finally:
        for fd in (read, write, 200):
            os.close(fd)
    (found,) = os.listdir(tmp_path)
    assert "200" not in found.split()


def test_it_is_seen_whether_one_runs(tmp_path: Path) -> None:
    """By its lock: as long as its process lives, and not longer."""
    folder = StateFolder(tmp_path)
    assert not spawn.exporter_runs(folder)
    ready, made = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(made, b"1" if ExporterLock(folder).take() else b"0")
        signal.pause()
    assert os.read(ready, 1) == b"1"
    assert spawn.exporter_runs(folder)
    assert spawn.exporter_runs(folder)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not spawn.exporter_runs(folder)


def test_who_starts_it_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is reaped later, by whoever looks after the exporter; no zombie stays."""
    waiting = "import os, sys, time\nwhile os.path.exists(sys.argv[1]): time.sleep(0.01)"
    monkeypatch.setattr(spawn, "_PROGRAM", waiting)
    folder = StateFolder(tmp_path / "gate")
    folder.make()
    spawn.start_exporter(folder)
    spawn.reap()
    (pid,) = spawn._started
    folder.path.rmdir()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    spawn.reap()
    assert spawn._started == []
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


@pytest.mark.parametrize("named", ["/usr/local/bin/uwsgi", "", None])
def test_the_interpreter_is_found_inside_a_server(
    monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    """Where sys.executable is the server's binary, or nothing, it is the one of this installation."""
    monkeypatch.setattr(sys, "executable", named)
    assert spawn.python().startswith(os.path.join(sys.prefix, "bin", "python"))


def test_what_was_told_is_remembered(tmp_path: Path) -> None:
    """The problem, and how many notes: whoever tells next goes on from there."""
    folder = StateFolder(tmp_path)
    assert spawn.told(folder) == (None, 0)
    spawn.note_told(folder, "no room", ["first", "second"])
    assert spawn.told(folder) == ("no room", 2)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"notes": 5, "problem": 7}'])
def test_a_file_that_says_nothing_sensible_is_survived(tmp_path: Path, content: str) -> None:
    """It is for people to read: nothing depends on it."""
    (tmp_path / "status").write_text(content)
    assert spawn.exporter_notes(StateFolder(tmp_path)) == []
    assert spawn.exporter_problem(StateFolder(tmp_path)) in (None, "7")
