"""What is kept in a process's own memory, and how it gets to the others."""

from __future__ import annotations

import errno
import mmap
import os
import resource
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import fork, layout
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.memory import MemoryReader
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader
from tests.recorder.processes import in_child, read, record_and_die, values

pytestmark = pytest.mark.usefixtures("bound")

HITS, DURATION, DEPTH = m.CACHE_HITS_TOTAL, m.CACHE_OPERATION_DURATION_MS, m.FORECAST_QUEUE_DEPTH


@pytest.fixture
def refused(tmp_path: Path) -> StateFolder:
    """A folder that cannot be made until it is let."""
    (tmp_path / "services").write_text("in the way")
    return StateFolder(tmp_path / "services" / "one")


def let(folder: StateFolder) -> None:
    folder.path.parent.unlink()


@pytest.fixture
def recorder(refused: StateFolder) -> Recorder:
    fork.generation[0] = 0
    made = Recorder(refused)
    made.counter(HITS).labels().add(5)
    made.histogram(DURATION).labels("get").record(3)
    made.gauge(DEPTH).labels("q").set(7)
    return made


def test_it_is_read_like_a_segment(recorder: Recorder, refused: StateFolder) -> None:
    """By whoever asks this process; nobody else sees it."""
    assert values(MemoryReader(recorder).read(), HITS) == {(): 5}
    assert values(ServiceReader(refused).read(), DURATION) == {("get",): 1}
    assert in_child(lambda: read(refused, HITS)[()]) != 0


def test_what_nobody_was_told_moves(recorder: Recorder, refused: StateFolder) -> None:
    """Counts go along, once, with their start; the memory is over."""
    memory = MemoryReader(recorder)
    before = {key: asdict(point) for key, point in memory.read().points.items()}
    let(refused)
    recorder.rejoin()
    assert recorder.memory is None
    assert in_child(lambda: read(refused, HITS) == {(): 5} or os._exit(1)) == 0
    reader = ServiceReader(refused)
    assert {key: asdict(point) for key, point in reader.read().points.items()} == before
    recorder.counter(HITS).labels().add(1)
    assert values(reader.read(), HITS) == {(): 6}


def test_what_was_told_stays(recorder: Recorder, refused: StateFolder) -> None:
    """What this process sent itself is not shared: there, counts begin at 0; gauges are what they are."""
    memory = MemoryReader(recorder)
    assert recorder.memory_to_tell() is not None
    let(refused)
    recorder.counter(HITS).labels().add(1)  # told with the last sending
    recorder.rejoin()
    recorder.counter(HITS).labels().add(10)
    recorder.histogram(DURATION).labels("get").record(3)
    assert recorder.segment is not None
    assert recorder.memory_to_tell() is None
    assert values(memory.read(), HITS) == {(): 6}
    assert in_child(lambda: read(refused, HITS) == {(): 10} or os._exit(1)) == 0
    assert in_child(lambda: read(refused, DURATION) == {("get",): 1} or os._exit(1)) == 0
    assert in_child(lambda: read(refused, DEPTH) == {("q",): 7} or os._exit(1)) == 0


def test_a_child_has_a_memory_of_its_own(recorder: Recorder) -> None:
    """What the parent kept is not the child's to send."""

    def child() -> None:
        recorder.counter(HITS).labels().add(100)
        assert values(MemoryReader(recorder).read(), HITS) == {(): 100}

    assert in_child(child) == 0
    assert values(MemoryReader(recorder).read(), HITS) == {(): 5}


@pytest.mark.parametrize("when", [0, 1, 2])
def test_a_full_file_system_at_any_point(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    """At the start, or later: what finds no room is kept in memory, and moves once there is some."""
    monkeypatch.setattr(layout, "RESERVE_BYTES", layout.HEADER_BYTES)
    reserve, left = os.posix_fallocate, [when]

    def fallocate(fd: int, at: int, size: int) -> None:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        reserve(fd, at, size)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    fork.generation[0] = 0
    recorder = Recorder(folder)
    for number in range(100):
        recorder.counter(m.CALCULATION_ERRORS_TOTAL).labels(str(number)).add(number)
        recorder.gauge(DEPTH).labels(str(number)).set(number)
    assert recorder.memory is not None
    recorder.rejoin()
    assert recorder.memory is not None
    left[0] = 1  # room for a part of them: nothing moves by halves
    recorder.rejoin()
    reader = ServiceReader(folder)
    expected = {(str(number),): float(number) for number in range(100)}
    assert values(reader.read(), m.CALCULATION_ERRORS_TOTAL) == expected
    left[0] = 10_000
    recorder.rejoin()
    assert recorder.memory is None
    recorder.counter(m.CALCULATION_ERRORS_TOTAL).labels("99").add(1)
    expected["99",] += 1
    for kept in (reader, ServiceReader(folder)):
        assert values(kept.read(), m.CALCULATION_ERRORS_TOTAL) == expected
        assert values(kept.read(), DEPTH) == {key: min(n, 99) for key, n in expected.items()}
    monkeypatch.undo()
    assert in_child(lambda: read(folder, DEPTH)["99",] == 99 or os._exit(1)) == 0


def test_who_joins_late_is_called_back(refused: StateFolder) -> None:
    """Who asked to be told that values are kept in memory, is, once for each process."""
    fork.generation[0] = 0
    recorder = Recorder(refused)
    told: list[int] = []
    recorder.on_memory(lambda: told.append(os.getpid()))
    recorder.counter(HITS).labels().add()
    recorder.counter(HITS).labels().add()
    assert told == [os.getpid()]
    recorder.on_memory(lambda: told.append(0))
    assert told == [os.getpid(), 0]


def test_where_address_space_is_scarce_it_is_smaller(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process at its limit counts on in what it can have."""

    original = mmap.mmap

    def scarce(fd: int, size: int, **kwargs: Any) -> mmap.mmap:
        if size > 2**20:
            raise OSError(errno.ENOMEM, "")
        return original(fd, size, **kwargs)

    monkeypatch.setattr(mmap, "mmap", scarce)
    fork.generation[0] = 0
    recorder.counter(HITS).labels().add(2)
    assert recorder.memory is not None
    assert len(recorder.memory.memory) == 2**20


def test_what_is_shared_is_smaller_too(tmp_path: Path) -> None:
    """A process that cannot have the usual 16 MiB shares what fits in one: others read it."""
    folder = StateFolder(tmp_path / "shared" / "one")

    def work(recorder: Recorder) -> None:
        left = psutil.Process().memory_info().vms + 8 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (left, left))
        recorder.counter(HITS).labels().add(2)
        assert recorder.segment is not None
        assert len(recorder.segment.memory) == 2**20

    record_and_die(folder, work)
    assert values(ServiceReader(folder).read(), HITS) == {(): 2}


def test_memory_that_is_not_used_costs_nothing(recorder: Recorder) -> None:
    """Whatever the process has done before with its memory: what nothing was written to is not resident."""
    used = bytearray(b"1" * layout.CAPACITY_BYTES)
    del used
    before = psutil.Process().memory_info().rss
    others = [Recorder() for _ in range(20)]
    for one in others:
        one.counter(HITS).labels().add()
    grown = psutil.Process().memory_info().rss - before
    assert grown < 20 * layout.CAPACITY_BYTES / 4
