"""Several processes of one service: forks, deaths, folding."""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import fork
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader

pytestmark = pytest.mark.usefixtures("bound")


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked process that ends without any clean-up; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def hits(folder: StateFolder) -> float:
    totals = ServiceReader(folder).read()
    return sum(point.value for point in totals.of(m.CACHE_HITS_TOTAL))


@pytest.fixture
def recorder(folder: StateFolder) -> Recorder:
    fork.generation[0] = 0
    return Recorder(folder)


def test_a_child_counts_in_a_segment_of_its_own(recorder: Recorder, folder: StateFolder) -> None:
    """A series that was bound before the fork counts once for the parent and once for each child."""
    counter = recorder.counter(m.CACHE_HITS_TOTAL).labels()
    counter.add(5)
    for _ in range(3):
        assert in_child(lambda: counter.add(100)) == 0
    counter.add(1)
    assert hits(folder) == 306
    assert len(folder.segments()) == 4


def test_a_fork_is_noticed_without_python_hooks(recorder: Recorder, folder: StateFolder) -> None:
    """The kernel wipes the page: a fork by the C library alone is enough."""
    import ctypes

    counter = recorder.counter(m.CACHE_HITS_TOTAL).labels()
    counter.add(5)
    libc = ctypes.CDLL(None)
    pid = libc.fork()
    if pid == 0:
        counter.add(7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert hits(folder) == 12


def test_a_lock_held_during_a_fork_does_not_hang_the_child(recorder: Recorder) -> None:
    """The child records although the parent's lock was inherited locked."""
    counter = recorder.counter(m.CACHE_HITS_TOTAL).labels()
    counter.add()
    with counter._lock:
        child_code = in_child(lambda: signal.alarm(20) or counter.add())  # type: ignore[func-returns-value]
    assert child_code == 0


def test_a_killed_process_loses_nothing(folder: StateFolder) -> None:
    """SIGKILL right after a record leaves the count in shared memory, and folding keeps it."""
    fork.generation[0] = 0

    def work() -> None:
        recorder = Recorder(folder)
        recorder.counter(m.CACHE_HITS_TOTAL).labels().add(9)
        recorder.gauge(m.FORECAST_QUEUE_DEPTH).labels("q").set(4)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(work) == -signal.SIGKILL
    assert hits(folder) == 9
    assert Folding(folder).fold() == []
    assert folder.segments() == []
    assert hits(folder) == 9
    assert list(ServiceReader(folder).read().of(m.FORECAST_QUEUE_DEPTH)) == []


def test_the_living_are_not_folded(recorder: Recorder, folder: StateFolder) -> None:
    """A segment whose process lives stays, as seen from another process."""
    recorder.counter(m.CACHE_HITS_TOTAL).labels().add(2)
    assert recorder.segment is not None
    name = recorder.segment.name
    assert in_child(lambda: _expect([name], Folding(folder).fold())) == 0


def _expect(expected: object, found: object) -> None:
    assert expected == found


def _count(folder: StateFolder, number: int) -> None:
    fork.generation[0] = 0
    Recorder(folder).counter(m.CACHE_HITS_TOTAL).labels().add(number)


def test_readers_see_each_segment_once_while_it_is_folded(folder: StateFolder) -> None:
    """A reader that reads while another process folds sees the same total all the time."""
    for _ in range(40):
        assert in_child(lambda: _count(folder, 1)) == 0

    def fold_slowly() -> None:
        for _ in range(40):
            Folding(folder).fold()
            _count_in_grandchild(folder)

    pid = os.fork()
    if pid == 0:
        try:
            fold_slowly()
        finally:
            os._exit(0)
    reader = ServiceReader(folder)
    last = 0.0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        total = sum(point.value for point in reader.read().of(m.CACHE_HITS_TOTAL))
        assert total >= 40
        assert total >= last, "a total ran backwards"
        last = total
    assert hits(folder) == 80


def _count_in_grandchild(folder: StateFolder) -> None:
    in_child(lambda: _count(folder, 1))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 1000))
def test_any_history_adds_up(tmp_path: Path, seed: int) -> None:
    """Processes come, count and die in any order, folded at any time: the sum is what was done."""
    chance = random.Random(seed)
    folder = StateFolder(Path(tempfile.mkdtemp(dir=tmp_path)))
    done = 0
    for _ in range(chance.randint(1, 8)):
        number = chance.randint(0, 1000)
        assert in_child(lambda n=number: _count(folder, n)) == 0  # type: ignore[misc]
        done += number
        if chance.random() < 0.5:
            Folding(folder).fold()
        assert hits(folder) == done


def test_a_damaged_segment_is_named_and_left(
    folder: StateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is no segment is refused with its reason, and the rest counts on."""
    assert in_child(lambda: _count(folder, 3)) == 0
    damaged = folder.path / "segment-1-damaged"
    damaged.write_bytes(b"nonsense" * 1000)
    folding = Folding(folder)
    folding.fold()
    folding.fold()
    assert hits(folder) == 3
    assert damaged.exists()
    assert len(caplog.records) == 1
    assert "segment-1-damaged starts with" in caplog.text
