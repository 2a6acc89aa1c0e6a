"""Exemplars: what a histogram remembers of the spans in which its values were recorded."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Callable
from types import ModuleType

import pytest

from otel_accubooks.contract.metrics import CACHE_OPERATION_DURATION_MS as DURATION
from otel_accubooks.recorder import exemplars, fork
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Point

pytestmark = pytest.mark.usefixtures("bound")

SPAN = (0x0AF7651916CD43DD8448EB211C80319C, 0x00F067AA0BA902B7)
OTHER = (2**128 - 1, 2**64 - 1)


@pytest.fixture
def current(monkeypatch: pytest.MonkeyPatch) -> list[exemplars.Span]:
    """The spans that are current, the last one innermost; empty while there is none."""
    spans: list[exemplars.Span] = []
    monkeypatch.setattr(exemplars, "sampled", lambda _: spans[-1] if spans else None)
    return spans


@pytest.fixture
def recorder(folder: StateFolder) -> Recorder:
    fork.generation[0] = 0
    return Recorder(folder, series_limit=1)


def point(folder: StateFolder) -> Point:
    (found,) = ServiceReader(folder).read().of(DURATION)
    return found


def test_without_traces_nothing_is_looked_for(bound: ModuleType, recorder: Recorder) -> None:
    """A histogram that is made while no traces are recorded is the plain one."""
    assert type(recorder.histogram(DURATION).labels("get")) is bound.Histogram


def test_each_bucket_keeps_its_last_sampled_value(
    bound: ModuleType, folder: StateFolder, recorder: Recorder, current: list[exemplars.Span]
) -> None:
    """Ids of all bits come back as they were; what is recorded outside of spans changes nothing."""
    series = recorder.histogram(DURATION).labels("get")
    assert type(series) is bound.TracedHistogram
    current.append(SPAN)
    series.record(0.5)
    series.record(0.75)
    current.append(OTHER)
    series.record(1e9)
    current.clear()
    series.record(0.25)
    series.record(7.0)
    found = point(folder)
    assert found.counts == [3, 0, 1, 0, 0, 0, 1]
    first, *rest, last = found.exemplars
    assert first is not None
    assert last is not None
    assert (first.value, first.trace_id, first.span_id) == (
        0.75, "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7",
    )  # fmt: skip
    assert (last.value, last.trace_id, last.span_id) == (1e9, "f" * 32, "f" * 16)
    assert rest == [None] * 5


def test_a_given_span_goes_before_the_current_one(
    folder: StateFolder, recorder: Recorder, current: list[exemplars.Span]
) -> None:
    """The end of a request records in the span of the request, which is no longer current."""
    current.append(OTHER)
    recorder.histogram(DURATION).labels("get").record_in(SPAN, 3.0)
    found = point(folder).exemplars[1]
    assert found is not None
    assert found.span_id == "00f067aa0ba902b7"


def in_a_child(job: Callable[[], object]) -> None:
    child = os.fork()
    if not child:
        job()
        os._exit(0)
    os.waitpid(child, 0)


def test_the_latest_of_all_processes_is_told_also_of_the_dead(
    folder: StateFolder, recorder: Recorder, current: list[exemplars.Span]
) -> None:
    """A worker that has ended leaves its exemplars, until a later one takes their place."""
    series = recorder.histogram(DURATION).labels("get")
    series.record(1e9)
    current.append(SPAN)
    for job in (lambda: series.record(1e9), Folding(folder).fold):
        in_a_child(job)
        found = point(folder)
        assert found.counts[-1] == 2
        assert found.exemplars[-1] is not None
        assert found.exemplars[-1].trace_id == "0af7651916cd43dd8448eb211c80319c"
    current.append(OTHER)
    series.record(1e9)
    assert point(folder).exemplars[-1] is not None
    assert point(folder).exemplars[-1].trace_id == "f" * 32  # type: ignore[union-attr]


def row(number: float, when: float, again: float, word: float = 1.0) -> memoryview:
    return memoryview(array("d", [number, 2.0, when, *[word] * 6, again]))


def test_what_is_half_written_old_or_damaged_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that was killed, or is at work, leaves numbers that differ."""
    monkeypatch.setattr(exemplars.time, "time", lambda: 10_000.0)
    assert [e is not None for e in exemplars.read(row(1.0, 9_999.0, 1.0))] == [True]
    for torn in (
        row(2.0, 9_999.0, 1.0),
        row(0.0, 9_999.0, 0.0),
        row(1.0, 9_000.0, 1.0),
        row(1.0, float("nan"), 1.0),
        row(1.0, 9_999.0, 1.0, float("nan")),
        row(1.0, 9_999.0, 1.0, float("inf")),
    ):
        assert list(exemplars.read(torn)) == [None]


def test_a_reader_never_mixes_two_exemplars(
    folder: StateFolder, recorder: Recorder, current: list[exemplars.Span]
) -> None:
    """While one thread writes two in turn, another reads one or the other, or none."""
    current.append((0, 0))
    series = recorder.histogram(DURATION).labels("get")
    series.record(2.0)
    spans = {float(n): (int(f"{n}" * 32, 16), int(f"{n}" * 16, 16)) for n in (2, 3)}
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            for value, span in spans.items():
                series.record_in(span, value)

    writer = threading.Thread(target=write)
    writer.start()
    reader = ServiceReader(folder)
    seen = set()
    try:
        for _ in range(500):
            (found,) = reader.read().of(DURATION)
            one = found.exemplars[1]
            if one is not None and set(one.trace_id) != {"0"}:
                seen.add((one.value, one.trace_id[0], *set(one.trace_id), *set(one.span_id)))
    finally:
        done.set()
        writer.join()
    assert seen <= {(2.0, "2", "2", "2"), (3.0, "3", "3", "3")}


def test_the_overflow_series_has_exemplars_too(
    folder: StateFolder, recorder: Recorder, current: list[exemplars.Span]
) -> None:
    """They are those of that series, and of no other."""
    family = recorder.histogram(DURATION)
    family.labels("get").record(2.0)
    current.append(SPAN)
    family.labels("set").record(2.0)
    found = {p.overflow: p.exemplars for p in ServiceReader(folder).read().of(DURATION)}
    assert found[False] == ()
    assert found[True][1] is not None
