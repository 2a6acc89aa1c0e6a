"""Readers beside writers, folding and new segments: no number ever falls, none is torn."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import fork
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Totals
from tests.recorder.processes import in_child

pytestmark = pytest.mark.usefixtures("bound")

BASES = 15  # so often, at least, the dead were folded meanwhile
THREADS = 4
DURATION = m.CACHE_OPERATION_DURATION_MS


def background(work: Callable[[], None]) -> int:
    """A process that does `work` again and again, until it is killed, or its parent is."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        fork.generation[0] = 0
        try:
            while os.getppid() == parent:
                work()
        finally:
            os._exit(1)
    return pid


@pytest.fixture
def busy(folder: StateFolder) -> Iterator[None]:
    """Processes that record by several threads, that come and die, that fold, and that join anew."""

    writing = Recorder(folder)

    def join_anew() -> None:  # as if the file were deleted, again and again
        if writing.segment is None or writing.segment.pid != os.getpid():
            for _ in range(THREADS):
                threading.Thread(target=write, args=(writing,), daemon=True).start()
            writing.join()
        assert writing.segment is not None
        os.unlink(folder.path / writing.segment.name)
        writing.rejoin()

    def write(recorder: Recorder) -> None:
        chance = random.Random()
        while True:
            recorder.counter(m.CACHE_HITS_TOTAL).labels().add()
            recorder.histogram(DURATION).labels(chance.choice(("get", "set"))).record(3)

    def come_and_die() -> None:
        assert in_child(short_life) == 0

    def short_life() -> None:
        fork.generation[0] = 0
        recorder = Recorder(folder)
        for _ in range(20):
            recorder.counter(m.CACHE_HITS_TOTAL).labels().add()
            recorder.histogram(DURATION).labels("get").record(3)

    come_and_die()
    pids = [background(work) for work in (Folding(folder).fold, join_anew, come_and_die)]
    yield
    ended = [pid for pid in pids if os.waitpid(pid, os.WNOHANG) != (0, 0)]
    for pid in set(pids) - set(ended):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert ended == [], "they worked to the end"


def numbers(totals: Totals) -> dict[tuple[str, tuple[str, ...], int], float]:
    found = {}
    for point in totals.points.values():
        for index, value in enumerate([point.value, point.total, *point.counts]):
            found[point.metric.name, point.labels, index] = value
    return found


def test_nothing_ever_falls(folder: StateFolder, busy: None) -> None:
    """One reader, many times: each counter, bucket and sum is what it was, or more, and whole."""
    reader = ServiceReader(folder)
    before: dict[tuple[str, tuple[str, ...], int], float] = {}
    bases = set()
    while len(bases) < BASES:
        totals = reader.read()
        bases.add(reader.base.inode if reader.base else None)
        found = numbers(totals)
        fallen = {
            key: (value, found.get(key))
            for key, value in before.items()
            if found.get(key, -1) < value
        }
        assert fallen == {}
        assert all(value == int(value) for value in found.values())
        assert totals.foreign == set()
        before = found
    assert before["cache_hits_total", (), 0] > 20


def test_threads_that_ask_for_the_same_new_series(folder: StateFolder) -> None:
    """Whoever is first, each record counts in one series, also beyond the limit."""
    fork.generation[0] = 0
    recorder = Recorder(folder, series_limit=50)
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for number in range(100):
            recorder.counter(m.CALCULATION_ERRORS_TOTAL).labels(str(number)).add()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    points = list(ServiceReader(folder).read().of(m.CALCULATION_ERRORS_TOTAL))
    assert len(points) == 51
    assert sum(point.value for point in points) == 800
    assert {point.value for point in points if not point.overflow} == {8.0}
