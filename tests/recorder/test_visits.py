"""From rows of visits to sessions, each counted once over all processes of a host."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_accubooks.contract.metrics import USER_SESSION_DURATION_SECONDS
from otel_accubooks.recorder import folder as folder_module
from otel_accubooks.recorder import fork, presence
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.memory import MemoryReader
from otel_accubooks.recorder.presence import Presence
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.sessions import add_over, keep_over
from otel_accubooks.recorder.totals import Totals

BEGAN = 1_800_000_000.0
MINUTE = 60.0
ANN, BOB = 1, 2


class Worker:
    """A process, as far as visits are concerned; times are minutes since BEGAN."""

    def __init__(self, shared: Path | None = None) -> None:
        self.recorder = Recorder()
        self.presence = Presence(self.recorder.attach, lambda: shared)

    def seen(self, who: int, *minutes: float) -> None:
        for minute in minutes:
            self.presence.seen(who, BEGAN + minute * MINUTE)

    def left(self, who: int, minute: float) -> None:
        self.presence.left(who, BEGAN + minute * MINUTE)


class Service:
    """Workers, and what was counted of them so far."""

    def __init__(self, *workers: Worker) -> None:
        self.workers = list(workers)
        self.base = Totals()

    def totals(self) -> Totals:
        totals = Totals()
        for key, values in self.base.visits.records():
            totals.visits.read(key, memoryview_of(values))
        for worker in self.workers:
            for who, rows in MemoryReader(worker.recorder).read().visits.rows.items():
                totals.visits.rows.setdefault(who, []).extend(rows)
        return totals

    def open(self, minute: float) -> int:
        found = self.totals().visits.sessions(BEGAN + minute * MINUTE)
        return sum(1 for each in found.values() if each.open)

    def over(self, minute: float) -> list[float]:
        """Lengths, in minutes, of the sessions that are over and not counted yet."""
        found = self.totals().visits.sessions(BEGAN + minute * MINUTE)
        return sorted(
            (last - first) / MINUTE for each in found.values() for first, last in each.over
        )

    def count(self, minute: float) -> None:
        """What the exporter does: it counts into the base what is over."""
        now = BEGAN + minute * MINUTE
        totals = self.totals()
        keep_over(self.base, totals, totals.visits.sessions(now), now)

    def counted(self) -> tuple[float, float]:
        """How many sessions, and how many minutes."""
        points = list(self.base.of(USER_SESSION_DURATION_SECONDS))
        return sum(sum(p.counts) for p in points), sum(p.total for p in points) / MINUTE


def memoryview_of(values: list[float]) -> memoryview[float]:
    from array import array

    return memoryview(array("d", values))


@pytest.fixture(autouse=True)
def _own_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(presence, "_ROWS", 64)
    yield
    fork.generation[0] = 0


@pytest.fixture
def two(tmp_path: Path) -> tuple[Worker, Worker]:
    return Worker(tmp_path), Worker(tmp_path)


def test_a_session_is_from_the_first_request_to_the_logout(two: tuple[Worker, Worker]) -> None:
    """Whichever worker saw which of them."""
    a, b = two
    a.seen(ANN, 0, 7)
    b.seen(ANN, 3, 9)
    b.left(ANN, 10)
    assert Service(a, b).over(11) == [10]
    assert Service(a, b).open(11) == 0


def test_silence_ends_a_session_at_its_last_request(two: tuple[Worker, Worker]) -> None:
    """Thirty minutes over all workers together, not of one of them."""
    a, b = two
    a.seen(ANN, 0, 50)
    b.seen(ANN, 25)
    service = Service(a, b)
    assert (service.over(79), service.open(79)) == ([], 1)
    assert (service.over(81), service.open(81)) == ([50], 0)
    a.seen(ANN, 90, 100)
    assert (service.over(101), service.open(101)) == ([50], 1)


def test_a_clock_that_is_set_back_makes_no_negative_session(two: tuple[Worker, Worker]) -> None:
    """A visit that goes on before it began is another one."""
    a, b = two
    a.seen(ANN, 500, 510, 200, 205)
    service = Service(a, b)
    assert all(length >= 0 for length in service.over(2000))
    service.count(2000)
    assert service.counted() == (2, 15)


def test_a_logout_after_long_silence_is_no_session(two: tuple[Worker, Worker]) -> None:
    """What it would have ended was over; the same of a second click on it."""
    a, b = two
    a.seen(ANN, 0, 1)
    b.left(ANN, 40)
    a.left(ANN, 41)
    assert Service(a, b).over(42) == [1]


def test_signing_in_and_out_on_changing_workers_loses_none(two: tuple[Worker, Worker]) -> None:
    """One sees the logins, another one the logouts."""
    a, b = two
    for round_number in range(20):
        a.seen(ANN, round_number)
        b.left(ANN, round_number + 0.5)
    service = Service(a, b)
    assert (service.over(21), service.open(21)) == ([0.5] * 20, 0)


def test_what_is_counted_is_not_counted_again(two: tuple[Worker, Worker]) -> None:
    """The rows of living workers stay; what comes later is a session of its own."""
    a, b = two
    service = Service(a, b)
    a.seen(ANN, 0)
    b.left(ANN, 5)
    for minute in (6, 7, 200):
        service.count(minute)
    assert service.counted() == (1, 5)
    a.seen(ANN, 300, 301)
    b.seen(ANN, 310)
    assert service.open(311) == 1
    service.count(350)
    service.count(600)
    assert service.counted() == (2, 15)
    assert service.over(700) == []


def test_a_session_longer_than_rows_are_kept_is_one(two: tuple[Worker, Worker]) -> None:
    """Its beginning is remembered while others' sessions are counted and forgotten."""
    a, b = two
    service = Service(a, b)
    for minute in range(0, 601, 20):
        (a if minute < 300 else b).seen(ANN, minute)
        b.seen(BOB, minute)
        b.left(BOB, minute + 1)
        service.count(minute + 2)
    b.left(ANN, 605)
    service.count(606)
    count, minutes = service.counted()
    assert (count, minutes) == (31 + 1, 31 * 1 + 605)
    assert len(service.base.visits.counted) <= 2


USERS = (ANN, BOB)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.01, 0.5, 3.0, 29.0, 31.0, 45.0, 150.0]),  # minutes since the last one
        st.sampled_from(USERS),
        st.integers(0, 2),  # by which worker
        st.sampled_from(["seen", "seen", "seen", "left", "count", "die"]),
    ),
    max_size=30,
)


def expected(events: list[tuple[float, int, str]]) -> list[float]:
    """The sessions of a history, by the definition."""
    found = []
    for who in USERS:
        first = last = None
        for minute, user, what in [*events, (1e9, who, "seen")]:
            if user != who or what not in ("seen", "left"):
                continue
            if first is not None and minute - last > 30:
                found.append(last - first)
                first = None
            if what == "seen":
                first, last = (minute if first is None else first), minute
            elif first is not None:
                found.append(minute - first)
                first = None
    return sorted(found)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENTS)
def test_every_history_is_counted_as_it_was(tmp_path_factory, given_events) -> None:
    """Over workers that come and go, and however often somebody counts meanwhile."""
    shared = tmp_path_factory.mktemp("shared")
    service = Service(*(Worker(shared) for _ in range(3)))
    minute, history = 0.0, []
    for pause, who, at, what in given_events:
        minute += pause
        worker = service.workers[at]
        history.append((minute, who, what))
        if what == "seen":
            worker.seen(who, minute)
        elif what == "left":
            worker.left(who, minute)
        elif what == "count":
            service.count(minute + 0.001)
        else:  # dead: its rows are folded into the base
            for user, rows in MemoryReader(worker.recorder).read().visits.rows.items():
                service.base.visits.rows.setdefault(user, []).extend(rows)
            service.workers[at] = Worker(shared)
    service.count(minute + 1000)
    count, minutes = service.counted()
    sessions = expected(history)
    assert (count, minutes) == (len(sessions), pytest.approx(sum(sessions)))
    assert service.over(minute + 2000) == []


def test_a_count_that_is_killed_anywhere_counts_once(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the base is replaced and after it: the next exporter says the same."""
    pid = os.fork()
    if pid == 0:
        fork.generation[0] = 0
        recorder = Recorder(folder)
        seen = Presence(recorder.attach, lambda: folder.path)
        seen.seen(ANN, BEGAN)
        seen.left(ANN, BEGAN + 90)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)

    def exporter(rename: object) -> None:
        pid = os.fork()
        if pid == 0:
            monkeypatch.setattr(folder_module.os, "rename", rename)
            export(folder)
            os._exit(0)
        os.waitpid(pid, 0)

    rename = os.rename

    def killed_before(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def killed_after(*paths: Path) -> None:
        rename(*paths)
        os.kill(os.getpid(), signal.SIGKILL)

    for how in (killed_before, killed_after, killed_before, killed_after):
        exporter(how)
        assert told(folder) == (1, 90)
    export(folder)
    export(folder)
    assert told(folder) == (1, 90)
    assert list(folder.segments()) == []


def export(folder: StateFolder) -> None:
    folding = Folding(folder)
    folding.fold()
    totals = ServiceReader(folder).read()
    now = BEGAN + 100
    folding.keep_sessions(totals, totals.visits.sessions(now), now)


def told(folder: StateFolder) -> tuple[float, float]:
    """Sessions and their seconds, as any process of the service sees them."""
    totals = ServiceReader(folder).read()
    add_over(totals, totals.visits.sessions(BEGAN + 100))
    (point,) = totals.of(USER_SESSION_DURATION_SECONDS)
    return sum(point.counts), point.total
