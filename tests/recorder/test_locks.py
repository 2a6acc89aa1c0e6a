"""Who exports and who asks: one at a time, also where files are deleted."""

from __future__ import annotations

import os
import shutil

import pytest

from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.locks import ExporterLock, ServiceLock
from tests.recorder.processes import in_child


def make(kind: str, folder: StateFolder) -> ServiceLock:
    return ExporterLock(folder) if kind == "exporter" else ServiceLock(folder, kind)


@pytest.fixture(params=["exporter", "teller"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def check(condition: bool) -> None:
    assert condition


def test_one_holds_it(folder: StateFolder, kind: str) -> None:
    """Taking it again is nothing; another process is refused, and sees why."""
    lock = make(kind, folder)
    assert lock.take()
    assert lock.take()
    assert in_child(lambda: check(not make(kind, folder).take())) == 0
    assert in_child(lambda: check(make(kind, folder).is_held_elsewhere())) == 0


def test_it_goes_with_its_process(folder: StateFolder, kind: str) -> None:
    """Whoever waited has it next."""
    waiting = make(kind, folder)
    assert in_child(lambda: check(make(kind, folder).take())) == 0
    assert not waiting.is_held_elsewhere()
    assert waiting.take()


def test_a_folder_made_anew_changes_nothing_for_who_knows_it(
    folder: StateFolder, kind: str
) -> None:
    """The holder goes on in the new folder; who waited sees it there, and nobody is second."""
    lock = make(kind, folder)
    assert lock.take()
    told, tell = os.pipe()
    seen, see = os.pipe()
    pid = os.fork()
    if pid == 0:
        waiting = make(kind, folder)
        held = [waiting.is_held_elsewhere()]
        os.write(see, b".")
        os.read(told, 1)
        held.append(waiting.is_held_elsewhere())  # by the lock that was deleted
        os.write(see, b".")
        os.read(told, 1)
        held.append(waiting.is_held_elsewhere())  # by the new one
        os._exit(held != [True] * 3)
    os.read(seen, 1)
    shutil.rmtree(folder.path)
    folder.make()
    assert not lock.is_there()
    os.write(tell, b".")
    os.read(seen, 1)
    assert lock.take()
    assert lock.is_there()
    os.write(tell, b".")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_who_comes_too_late_to_the_new_folder_is_told(folder: StateFolder, kind: str) -> None:
    """Somebody else took it there first."""
    lock = make(kind, folder)
    assert lock.take()
    shutil.rmtree(folder.path)
    folder.make()
    ready, made = os.pipe()
    pid = os.fork()
    if pid == 0:
        other = make(kind, folder)
        os.write(made, b"1" if other.take() else b"0")
        signal_wait()
    assert os.read(ready, 1) == b"1"
    assert not lock.take()
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def signal_wait() -> None:
    import signal

    signal.pause()


def test_deleted_files_leave_the_exporters_lock(folder: StateFolder) -> None:
    """It is on the folder: as long as that is there, there is one exporter."""
    lock = ExporterLock(folder)
    assert lock.take()
    for path in folder.path.iterdir():
        path.unlink()
    assert lock.is_there()
    assert in_child(lambda: check(not ExporterLock(folder).take())) == 0
