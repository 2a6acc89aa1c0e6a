"""Recording in one process, read back as any process would."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder import fork
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.reader import SegmentReader
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.totals import Point, Totals

pytestmark = pytest.mark.usefixtures("bound")


@pytest.fixture
def recorder(folder: StateFolder) -> Recorder:
    fork.generation[0] = 0
    return Recorder(folder, series_limit=10)


def totals(recorder: Recorder) -> Totals:
    """What another process would read, without opening and closing our own locked file."""
    from otel_accubooks.recorder.reader import OwnSegmentReader

    assert recorder.segment is not None
    found = Totals()
    found.add(OwnSegmentReader(recorder.segment))
    return found


def only(recorder: Recorder, metric: Metric) -> Point:
    (point,) = totals(recorder).of(metric)
    return point


def test_a_counter_adds_up(recorder: Recorder) -> None:
    """What was added is what is read."""
    counter = recorder.counter(m.HTTP_REQUESTS_TOTAL).labels("GET", "/x", "200")
    counter.add()
    counter.add(41)
    point = only(recorder, m.HTTP_REQUESTS_TOTAL)
    assert point.value == 42
    assert point.attributes == {"method": "GET", "route": "/x", "status_code": "200"}


@given(values=st.lists(st.floats(0, 10_000)))
def test_a_histogram_counts_each_value_in_its_bucket(values: list[float]) -> None:
    """A value counts in the first bucket whose upper bound is not below it; the sum is the sum."""
    fork.generation[0] = 0
    histogram = (recorder := Recorder()).histogram(m.HTTP_REQUEST_DURATION_MS).labels("GET", "", "")
    recorder.attach(histogram)
    for value in values:
        histogram.record(value)
    bounds = [*m.HTTP_REQUEST_DURATION_MS.buckets, float("inf")]
    expected = [0] * len(bounds)
    for value in values:
        expected[next(i for i, bound in enumerate(bounds) if value <= bound)] += 1
    row = histogram._values[histogram._at : histogram._at + histogram.slots].tolist()
    assert row[2:] == expected
    assert row[1] == pytest.approx(sum(values))


def test_a_gauge_is_what_was_set_last(recorder: Recorder) -> None:
    """A gauge keeps the last value."""
    gauge = recorder.gauge(m.FORECAST_QUEUE_DEPTH).labels("forecasts")
    gauge.set(5)
    gauge.set(3)
    assert only(recorder, m.FORECAST_QUEUE_DEPTH).value == 3


def test_threads_lose_nothing(recorder: Recorder) -> None:
    """Eight threads add 20,000 each to one series."""
    counter = recorder.counter(m.CACHE_HITS_TOTAL).labels()

    def add() -> None:
        for _ in range(20_000):
            counter.add()

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert only(recorder, m.CACHE_HITS_TOTAL).value == 160_000


def test_a_value_outside_a_closed_set_becomes_its_last(recorder: Recorder) -> None:
    """A tier that nobody knows counts as unknown."""
    recorder.counter(m.SCENARIOS_CREATED_TOTAL).labels("PLATINUM").add()
    recorder.counter(m.SCENARIOS_CREATED_TOTAL).labels("unknown").add()
    point = only(recorder, m.SCENARIOS_CREATED_TOTAL)
    assert point.labels == ("unknown",)
    assert point.value == 2


def test_beyond_the_limit_everything_is_one_series(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Series stay within the limit, nothing is lost, and one line says so."""
    family = recorder.counter(m.HTTP_REQUESTS_TOTAL)
    with caplog.at_level(logging.WARNING, "otel_accubooks"):
        for number in range(25):
            family.labels("GET", f"/{number}", "200").add()
    points = list(totals(recorder).of(m.HTTP_REQUESTS_TOTAL))
    assert len(points) == 11
    assert sum(point.value for point in points) == 25
    (overflow,) = [point for point in points if point.overflow]
    assert overflow.attributes == {"otel.metric.overflow": True}
    assert overflow.value == 15
    assert len(caplog.records) == 1
    assert "http_requests_total has more than 10 series" in caplog.text


@given(value=st.text())
def test_any_label_value_is_bounded_and_readable(value: str) -> None:
    """Whatever a label is given, it is text of at most 200 characters and splits no key."""
    fork.generation[0] = 0
    series = Recorder().counter(m.CALCULATION_ERRORS_TOTAL).labels(value)
    parts = series.key.decode().split("\x1f")
    assert len(parts) == 2
    assert len(parts[1]) <= 200


def test_a_closed_set_exists_at_zero(recorder: Recorder) -> None:
    """An announced counter has a series for each of its labels' values, at 0."""
    recorder.counter(m.TRUST_LAYER_USAGE_TOTAL).announce()
    points = list(totals(recorder).of(m.TRUST_LAYER_USAGE_TOTAL))
    assert {point.labels[0] for point in points} == set(m.TRUST_COMPONENTS)
    assert all(point.value == 0 for point in points)


def test_asking_for_the_wrong_type_is_a_clear_error(recorder: Recorder) -> None:
    """A histogram is no counter."""
    with pytest.raises(TypeError, match="http_request_duration_ms is a histogram, not a counter"):
        recorder.counter(m.HTTP_REQUEST_DURATION_MS)


def test_without_a_writable_folder_it_records_in_memory(
    tmp_path: os.PathLike[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that cannot be made costs one log line, and no exception."""
    blocked = os.path.join(tmp_path, "file")
    open(blocked, "w").close()
    fork.generation[0] = 0
    recorder = Recorder(StateFolder(type(tmp_path)(blocked, "service")))  # type: ignore[call-arg]
    with caplog.at_level(logging.WARNING, "otel_accubooks"):
        for _ in range(3):
            recorder.counter(m.CACHE_HITS_TOTAL).labels().add()
        recorder.counter(m.CACHE_MISSES_TOTAL).labels().add()
    assert recorder.segment is None
    assert len(caplog.records) == 1
    assert "metrics of this process stay in its memory" in caplog.text


def test_a_full_segment_harms_nobody(
    recorder: Recorder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Series that do not fit any more go to the process's own memory; what fits nowhere is dropped."""
    from otel_accubooks.recorder import layout

    recorder.series_limit = 100_000
    family = recorder.counter(m.CALCULATION_ERRORS_TOTAL)
    family.labels("first").add()
    monkeypatch.setattr(layout, "CAPACITY_BYTES", layout.HEADER_BYTES + 1024)
    with caplog.at_level(logging.WARNING, "otel_accubooks"):
        for number in range(100):
            family.labels(str(number)).add()
    family.labels("first").add()
    points = {p.labels[0]: p.value for p in totals(recorder).of(m.CALCULATION_ERRORS_TOTAL)}
    assert points["first"] == 2
    assert len(points) < 100
    assert len(caplog.records) == 2
    assert "further series of this process stay in its memory" in caplog.text
    assert "further series of this process are not sent" in caplog.text


def test_a_segment_is_readable_by_others_while_it_is_written(recorder: Recorder) -> None:
    """Another reader sees what was written after it opened, series and values."""
    family = recorder.counter(m.CALCULATION_ERRORS_TOTAL)
    family.labels("a").add()
    assert recorder.segment is not None
    assert recorder.folder is not None
    pid = os.fork()
    if pid == 0:  # the reader: closing the file in this process would drop its lock
        os._exit(read_until_two_series(recorder.folder, recorder.segment.name))
    family.labels("b").add(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def read_until_two_series(folder: StateFolder, name: str) -> int:
    reader = SegmentReader(folder.path / name)
    for _ in range(1_000_000):
        found = Totals()
        found.add(reader)
        if {p.labels: p.value for p in found.points.values()} == {("a",): 1.0, ("b",): 2.0}:
            return 0
    return 1


def test_it_joins_the_others_once_there_is_room(
    folder: StateFolder,
) -> None:
    """What was kept in memory while nothing could be shared is shared later, and counted on."""
    fork.generation[0] = 0
    folder.path.chmod(0o777)  # refused
    recorder = Recorder(folder)
    counter = recorder.counter(m.CACHE_HITS_TOTAL).labels()
    histogram = recorder.histogram(m.CACHE_OPERATION_DURATION_MS).labels("get")
    counter.add(5)
    histogram.record(3)
    recorder.rejoin()
    assert recorder.segment is None
    folder.path.chmod(0o700)
    recorder.rejoin()
    counter.add(2)
    histogram.record(3)
    assert only(recorder, m.CACHE_HITS_TOTAL).value == 7
    assert sum(only(recorder, m.CACHE_OPERATION_DURATION_MS).counts) == 2


def test_a_scrape_before_the_first_record_does_not_drop_the_lock(folder: StateFolder) -> None:
    """A reader that was made early knows this process's segment too, however it came about."""
    from otel_accubooks.recorder.service import ServiceReader

    fork.generation[0] = 0
    reader = ServiceReader(folder)
    reader.read()
    recorder = Recorder(folder)
    recorder.counter(m.CACHE_HITS_TOTAL).labels().add()
    reader.read()
    assert recorder.segment is not None
    name = recorder.segment.name
    pid = os.fork()
    if pid == 0:
        os._exit(SegmentReader(folder.path / name).dead())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_logging_handler_may_record(recorder: Recorder) -> None:
    """What we log is logged outside of our lock, so that a handler that counts cannot hang."""
    recorder.series_limit = 1
    family = recorder.counter(m.CALCULATION_ERRORS_TOTAL)
    other = recorder.counter(m.CACHE_HITS_TOTAL).labels()

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            thread = threading.Thread(target=other.add)
            thread.start()
            thread.join(10)
            assert not thread.is_alive()

    handler = Counting()
    logging.getLogger("otel_accubooks").addHandler(handler)
    try:
        for number in range(3):
            family.labels(str(number)).add()
    finally:
        logging.getLogger("otel_accubooks").removeHandler(handler)
    assert only(recorder, m.CACHE_HITS_TOTAL).value >= 1


def at_line(number: int, function: str, handler: Callable[[], object]) -> Any:
    """A trace function that calls `handler` once, at the how many-eth line of `function`."""
    left = number

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_name == function and event == "line":
            left -= 1
            if left == 0:
                sys.settrace(None)
                handler()
        return trace

    return trace


def test_a_signal_handler_may_record(recorder: Recorder) -> None:
    """Also a new series, in the middle of writing another: nothing is torn, nothing is lost.

    What found its segment being written is shared with the next look.
    """
    family = recorder.counter(m.CALCULATION_ERRORS_TOTAL)
    recorder.series_limit = 1000

    def record(name: str) -> None:
        family.labels(name).add()

    for line in range(1, 40):
        sys.settrace(at_line(line, "_append", partial(record, f"in the handler {line}")))
        record(str(line))
        sys.settrace(None)
    assert recorder.memory is None
    recorder.rejoin()
    points = {p.labels[0]: p.value for p in totals(recorder).of(m.CALCULATION_ERRORS_TOTAL)}
    assert set(points.values()) == {1.0}
    assert {str(line) for line in range(1, 40)} <= points.keys()
    assert len(points) > 50


def test_a_time_limit_that_strikes_while_it_begins_is_passed_on(recorder: Recorder) -> None:
    """It is the application's; what else begins at the first record has begun by then."""
    began = []

    def struck() -> None:
        raise TimeoutError("a job's")

    recorder.on_open(struck)
    recorder.on_open(lambda: began.append(True))
    with pytest.raises(TimeoutError, match="a job's"):
        recorder.counter(m.CACHE_HITS_TOTAL).labels().add()
    assert began == [True]
