"""Folding the dead, killed at any moment: totals stay exact."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import fork
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader

DEAD = 2
# Everything by which folding asks the system for something.
CALLS = (
    "open",
    "close",
    "write",
    "rename",
    "unlink",
    "listdir",
    "lstat",
    "fstat",
    "stat",
    "fchown",
)
KILLS = 40


def in_child(work: Callable[[], int]) -> int:
    """The exit code of a forked process that does `work` and ends with its result, unless killed."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def leave_dead(folder: StateFolder) -> None:
    """Two segments of the dead, with series that they share and series of their own."""

    def work() -> int:
        for number in range(DEAD):
            fork.generation[0] = 0
            recorder = Recorder(folder)
            recorder.counter(m.CACHE_HITS_TOTAL).labels().add(10)
            recorder.counter(m.CALCULATION_ERRORS_TOTAL).labels(str(number)).add(3)
            recorder.histogram(m.CACHE_OPERATION_DURATION_MS).labels("get").record(7)
        return 0

    assert in_child(work) == 0


def everything(folder: StateFolder) -> dict[tuple[str, tuple[str, ...]], tuple[float, list[float]]]:
    points = ServiceReader(folder).read().points.values()
    return {(p.metric.name, p.labels): (p.value + p.total, p.counts) for p in points}


def kill_and_succeed(folder: StateFolder, dying: Callable[[], int]) -> bool:
    """Folds in a process that `dying` may kill, then in a successor; False if it came to its end."""
    leave_dead(folder)
    before = everything(folder)
    code = in_child(dying)
    assert code in (0, -signal.SIGKILL)
    assert everything(folder) == before
    Folding(folder).fold()
    assert everything(folder) == before
    assert folder.segments() == []
    return code != 0


def die_at_call(folder: StateFolder, at: int, *, after: bool) -> int:
    left = [at]

    def dying(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return original(*args, **kwargs)
            finally:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))
    fcntl.lockf = dying(fcntl.lockf)
    Folding(folder).fold()
    return 0


@pytest.mark.parametrize("after", [False, True])
def test_killed_before_or_after_any_system_call(folder: StateFolder, after: bool) -> None:
    """Each call that folding makes is once its last; the successor ends what it began."""
    at = 0
    died = True
    while died:
        at += 1
        died = kill_and_succeed(folder, partial(die_at_call, folder, at, after=after))
    assert at > 15, "the calls were counted"


def die_at_instruction(folder: StateFolder, at: int) -> int:
    left = [at]

    def trace(frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    Folding(folder).fold()
    sys.settrace(None)
    return 0


def test_killed_at_any_instruction(folder: StateFolder) -> None:
    """SIGKILL at instructions of the interpreter all over the folding: the totals stay exact."""
    last = 1
    while kill_and_succeed(folder, partial(die_at_instruction, folder, last)):
        last *= 2
    for number in range(KILLS):
        kill_and_succeed(folder, partial(die_at_instruction, folder, number * last // KILLS + 1))


def test_no_room_for_the_base_is_survived(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead are read where they are, one line says so, and they are folded once there is room."""
    leave_dead(folder)
    before = everything(folder)
    said: list[str] = []
    folding = Folding(folder, said.append)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for _ in range(3):
        assert folding.fold() == []
        assert everything(folder) == before
    monkeypatch.undo()
    assert len(folder.segments()) == DEAD
    assert said == [f"{folder.path}: No space left on device"]
    folding.fold()
    assert everything(folder) == before
    assert folder.segments() == []
