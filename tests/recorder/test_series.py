"""Bound recorders, plain and compiled: the same values, whatever is recorded and whoever comes between."""

from __future__ import annotations

import gc
import math
import os
import signal
import subprocess
import sys
import threading
import weakref
from _thread import RLock
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from time import perf_counter
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import fork
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.reader import OwnSegmentReader
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.totals import Totals
from tests.recorder.bound import BOUND

BOUNDS = (1, 5, 10.5, 2**60)


class Attached:
    """Series in memory that the test can look at: a counter, a histogram and a gauge."""

    def __init__(self, bound: ModuleType) -> None:
        fork.generation[0] = 1
        self.memory = bytearray(8 * 16)
        self.values = memoryview(self.memory).cast("d")
        self.lock = RLock()
        self.asked = 0
        self.counter = bound.Counter(1, b"counter", 2, self.attach)
        self.histogram = bound.Histogram(2, b"histogram", 7, self.attach, BOUNDS)
        self.gauge = bound.Gauge(3, b"gauge", 1, self.attach)

    def attach(self, series: Any) -> None:
        self.asked += 1
        at = {b"counter": 1, b"histogram": 4, b"gauge": 12}[series.key]
        series.place(self.values, at, self.lock, fork.generation[0])

    def told(self, method: str, *values: Any) -> tuple[type, str] | None:
        """What `method` raised, if anything."""
        of = {"add": self.counter, "set": self.gauge}.get(method, self.histogram)
        try:
            getattr(of, method)(*values)
        except Exception as error:
            return type(error), str(error)
        return None


@pytest.fixture
def attached(bound: ModuleType) -> Attached:
    return Attached(bound)


class Weird(float):
    """A float that is none when it is added."""

    def __radd__(self, other: float) -> object:
        return other + 1j


AMOUNTS = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([10**400, -(10**400), 2**53 + 1, True, -0.0, math.nan, math.inf, -math.inf]),
    st.sampled_from([None, "1", b"", 1j, [], Decimal(3), Fraction(1, 3), Weird(2.0)]),
)
DONE = st.tuples(st.sampled_from(["add", "record", "set", "leave", "fork"]), AMOUNTS)


@given(done=st.lists(DONE, max_size=40))
def test_all_leave_the_same_bytes(done: list[tuple[str, Any]]) -> None:
    """Floats, huge integers and what is no number: the same values, or the same exceptions."""
    left = []
    for bound in BOUND.values():
        attached = Attached(bound)
        said: list[object] = []
        for method, value in done:
            if method == "leave":
                attached.histogram.leave()
            elif method == "fork":
                fork.generation[0] += 1
            else:
                said.append(attached.told(method, value))
        left.append((bytes(attached.memory), said, attached.asked))
    assert all(one == left[0] for one in left)


@pytest.mark.parametrize("call", [("add", 1, 2), ("record",), ("record_since",), ("set", 1, 2)])
def test_a_wrong_number_of_arguments_is_a_type_error(attached: Attached, call: tuple[Any]) -> None:
    """As of any function."""
    told = attached.told(*call)
    assert told is not None
    assert told[0] is TypeError


def test_what_began_is_measured_by_pythons_clock(attached: Attached) -> None:
    """`record_since` counts the milliseconds between what `perf_counter` says before and after."""
    began = perf_counter()
    attached.histogram.record(0.0)
    before = perf_counter()
    attached.histogram.record_since(began)
    after = perf_counter()
    assert (before - began) * 1000.0 <= attached.values[5] <= (after - began) * 1000.0
    assert sum(attached.histogram.kept()[2:]) == 2


def test_a_place_outside_of_the_memory_is_refused() -> None:
    """A compiled series writes nowhere but in its view of doubles."""
    if "compiled" not in BOUND:
        return
    attached = Attached(BOUND["compiled"])
    words = memoryview(attached.memory)
    for values, at in (
        (attached.values, 10),
        (attached.values, -1),
        (words, 0),
        (words.cast("Q"), 0),
    ):
        with pytest.raises(ValueError, match="no room for 7 doubles"):
            attached.histogram.place(values, at, attached.lock, 1)
    with pytest.raises((BufferError, TypeError)):
        attached.histogram.place(memoryview(bytes(128)).cast("d"), 0, attached.lock, 1)
    with pytest.raises(AttributeError):
        attached.histogram.kept()


@pytest.mark.usefixtures("bound")
def test_threads_lose_nothing_while_values_move(folder: StateFolder) -> None:
    """The file is deleted under four recording threads again and again: each count moves along."""
    fork.generation[0] = 0
    recorder = Recorder(folder)
    counter = recorder.counter(m.CACHE_HITS_TOTAL).labels()
    histogram = recorder.histogram(m.CACHE_OPERATION_DURATION_MS).labels("get")
    counter.add(0)
    histogram.record(0)
    done = [0] * 4
    ends = threading.Event()

    def record(number: int) -> None:
        while not ends.is_set():
            counter.add()
            histogram.record(1.0)
            done[number] += 1

    switched = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    try:
        for thread in threads:
            thread.start()
        for _ in range(50):
            assert recorder.segment is not None
            os.unlink(folder.path / recorder.segment.name)
            recorder.rejoin()
    finally:
        ends.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(switched)
    totals = Totals()
    assert recorder.segment is not None
    totals.add(OwnSegmentReader(recorder.segment))
    assert sum(done) > 100
    assert [point.value for point in totals.of(m.CACHE_HITS_TOTAL)] == [sum(done)]
    (duration,) = totals.of(m.CACHE_OPERATION_DURATION_MS)
    assert (sum(duration.counts), duration.total) == (sum(done) + 1, sum(done))


def test_signals_lose_nothing(attached: Attached) -> None:
    """A handler records into what was being recorded when the signal came."""
    came = 0

    def handler(*_: object) -> None:
        nonlocal came
        came += 1
        attached.counter.add()
        attached.histogram.record(2.0)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    many = 0
    try:
        while came < 200:
            attached.counter.add()
            attached.histogram.record(2.0)
            many += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert attached.counter.kept() == [0.0, many + came]
    assert attached.histogram.kept()[1:4] == [2.0 * (many + came), 0.0, many + came]


def test_a_forgotten_recorder_is_collected(bound: ModuleType) -> None:
    """Series and recorder refer to each other; nothing of them stays, nor of the memory."""
    attached = Attached(bound)
    attached.told("add"), attached.told("record", 1), attached.told("set", 1)
    gone = weakref.ref(attached.values)
    held = weakref.ref(attached.attach.__self__, lambda _: None)
    del attached
    gc.collect()
    assert gone() is None
    assert held() is None


ENDS = """
import gc
from threading import RLock
from otel_accubooks.recorder import fork, series

class Held:
    pass

fork.generation[0] = 1
for _ in range(20):
    view = memoryview(bytearray(128)).cast("d")  # before all that refers to it: collected first
    held = Held()
    held.counter = series.Counter(1, b"", 2, lambda one, held=held: one.place(held.view, 0, RLock(), 1))
    held.view = view
    held.counter.add()
    del view, held
    gc.collect()
"""


def test_a_view_is_collected_before_its_series() -> None:
    """A view that is lent out then takes the process with it: none is."""
    done = subprocess.run(
        [sys.executable, "-c", ENDS], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def _held(attached: Attached) -> Iterator[int]:
    for one in (attached.values, attached.lock, attached, BOUNDS, None, *map(type, (1.0, b""))):
        yield sys.getrefcount(one)
    for series in (attached.counter, attached.histogram, attached.gauge):
        yield sys.getrefcount(series)


def test_references_are_given_back(attached: Attached, bound: ModuleType) -> None:
    """Ten thousand records, refusals, moves and series later as many are held as before."""
    calls = [(name, value) for name in ("add", "record", "set") for value in (1, 1.5, "x", 10**400)]

    def work(times: int) -> None:
        for _ in range(times):
            for name, value in calls:
                attached.told(name, value)
            attached.histogram.leave()
            attached.told("record_since", 0.0)
            attached.told("record_in", None, 1.0)
            attached.histogram.kept()
            bound.Histogram(2, b"histogram", 7, attached.attach, BOUNDS).record(1)

    work(10)
    gc.collect()
    before = list(_held(attached))
    work(1000)
    gc.collect()
    assert all(abs(now - then) < 100 for now, then in zip(_held(attached), before, strict=True))


INTERPRETERS = """
try:
    import _interpreters as interpreters  # 3.13
except ImportError:
    import _xxsubinterpreters as interpreters

WORK = '''
from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder.recorder import Recorder
counter = Recorder().counter(m.CACHE_HITS_TOTAL).labels()
for _ in range(1000):
    counter.add()
assert counter.kept()[1] == 1000
print("counted", flush=True)
'''
exec(WORK)
for _ in range(3):
    other = interpreters.create("legacy") if hasattr(interpreters, "new_config") else (
        interpreters.create(isolated=False)
    )
    interpreters.run_string(other, WORK)
    interpreters.destroy(other)
exec(WORK)
"""


def test_each_interpreter_of_a_process_counts_for_itself() -> None:
    """As under mod_wsgi and uWSGI, which give each application an interpreter: none disturbs another."""
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETERS],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "counted\n" * 5), done.stderr
