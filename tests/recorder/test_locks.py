"""Who exports and who asks: one at a time, also where files are deleted."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def held_by_another(folder: StateFolder, kind: str) -> Iterator[None]:
    """Another process holds the lock meanwhile."""
    seen, see = os.pipe()
    pid = os.fork()
    if pid == 0:
        make(kind, folder).take()
        os.write(see, b".")
        signal.pause()
    os.read(seen, 1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(seen)
        os.close(see)


def lowest() -> int:
    """The number that the next descriptor will have."""
    free = os.dup(0)
    os.close(free)
    return free


def files_of_the_application(how_many: int = 8) -> list[int]:
    """Opened now, under the lowest numbers that are free."""
    return [os.open(os.devnull, os.O_RDONLY) for _ in range(how_many)]


def assert_still_open(files: list[int]) -> None:
    """Closes them, which raises where somebody else has."""
    for fd in files:
        os.close(fd)


def test_of_two_threads_one_closes_what_both_know(
    folder: StateFolder, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one would close what the application has opened under that number meanwhile."""
    lock = make(kind, folder)
    with held_by_another(folder, kind):
        assert lock.is_held_elsewhere()
    look, files = lock._is_locked, []

    def while_another_thread_looks(fd: int) -> bool:
        held = look(fd)
        monkeypatch.undo()
        assert not lock.is_held_elsewhere()
        files.extend(files_of_the_application())
        return held

    monkeypatch.setattr(lock, "_is_locked", while_another_thread_looks)
    assert not lock.is_held_elsewhere()
    assert_still_open(files)


def test_who_forgets_it_beside_a_thread_that_takes_it(
    folder: StateFolder, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the application is closed or locked, and others may have it."""
    lock = make(kind, folder)
    assert lock.take()
    take, files = lock._lock, []

    def while_another_thread_forgets(fd: int) -> bool:
        monkeypatch.undo()
        lock.forget()
        files.extend(files_of_the_application())
        return take(fd)

    monkeypatch.setattr(lock, "_lock", while_another_thread_forgets)
    lock.take()
    assert_still_open(files)
    assert in_child(lambda: check(make(kind, folder).take())) == 0


@pytest.mark.parametrize("then", ["take", "is_held_elsewhere", "forget"])
def test_an_application_that_closes_all_it_has_may_have_another_file_there(
    folder: StateFolder, kind: str, then: str
) -> None:
    """As daemons do at their start: it is not closed, and not locked."""
    lock = make(kind, folder)
    if then == "is_held_elsewhere":
        with held_by_another(folder, kind):
            number = lowest()
            assert lock.is_held_elsewhere()
    else:
        number = lowest()
        assert lock.take()
    os.close(number)
    files = files_of_the_application()
    getattr(lock, then)()
    assert_still_open(files)
