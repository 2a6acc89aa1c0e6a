"""Totals that are read again and again: at each time they are those of a first reading."""

from __future__ import annotations

import random

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder import layout
from otel_accubooks.recorder.header import Header
from otel_accubooks.recorder.reader import OwnSegmentReader
from otel_accubooks.recorder.root import Root
from otel_accubooks.recorder.segment import MemorySegment
from otel_accubooks.recorder.sums import Sums
from otel_accubooks.recorder.totals import Totals

METRICS = [m.CALCULATION_ERRORS_TOTAL, m.CACHE_OPERATION_DURATION_MS, m.FORECAST_QUEUE_DEPTH]


class Process:
    """Segments of one process, written at random."""

    def __init__(self, rng: random.Random, metrics: list[Metric]) -> None:
        self._rng, self._metrics = rng, metrics
        self._segment = MemorySegment(None, Header(1, 0, Root(1, 0, 0.0), 0, (0, 0)))
        self.reader = OwnSegmentReader(self._segment)
        self._places: dict[tuple[bytes, int], tuple[int, int, Metric]] = {}

    def work(self) -> None:
        """Makes a series, or changes one; now and then into something that no process writes."""
        metric = self._rng.choice(self._metrics)
        overflow = layout.OVERFLOW if self._rng.random() < 0.1 and metric.type != "gauge" else 0
        kind = layout.KINDS[metric.type] | overflow
        key = layout.make_key(metric.name, () if overflow else (str(self._rng.randrange(4)),))
        if (key, kind) not in self._places:
            size = {"counter": 2, "histogram": 3 + len(metric.buckets), "gauge": 1}[metric.type]
            row = [float(self._rng.randrange(1, 100)), *[0.0] * (size - 1)]
            at = self._segment.append(kind, key, row)
            self._places[key, kind] = at, size, metric
        at, size, metric = self._places[key, kind]
        odd = self._rng.random() < 0.05
        value = self._rng.choice([-1.0, float("nan"), float("inf")]) if odd else 3.0
        self._segment.values[at + self._rng.randrange(size)] += value


def told(totals: Totals) -> object:
    """What can be compared, whatever its order, and with numbers that are none."""
    points = {
        key: (p.labels, p.start, p.value, p.total, [*map(float, p.counts)], p.overflow)
        for key, p in totals.points.items()
    }
    return sorted(map(repr, points.items())), totals.foreign, totals.settled


@pytest.mark.parametrize("seed", range(20))
def test_totals_are_those_of_a_first_reading(seed: int) -> None:
    """Whatever changed since, and whichever segments came, went, or lost their process."""
    rng = random.Random(seed)
    # The first is the base, which has no gauges and is written once.
    sums, processes = Sums(), [Process(rng, some) for some in (METRICS[:2], METRICS, METRICS)]
    for _ in range(rng.randrange(20)):
        processes[0].work()
    processes[0].reader.records()
    for _ in range(40):
        for _ in range(rng.randrange(6)):
            rng.choice(processes[1:]).work()
        base = processes[0].reader if rng.random() < 0.9 else None
        alive = rng.random() < 0.9
        segments = [(process.reader, alive) for process in processes[1:]]
        fresh = Totals()
        if base is not None:
            fresh.add_base(base)
        for reader, gauges in segments:
            reader.records()
            fresh.add(reader, gauges=gauges)
        assert told(sums.read(base, segments)) == told(fresh)


def test_a_point_stays_the_same_object_while_nothing_changes() -> None:
    """So whoever keeps something of it need not look again."""
    process, sums = Process(random.Random(1), METRICS), Sums()
    for _ in range(20):
        process.work()
    process.reader.records()
    first = sums.read(None, [(process.reader, True)]).points
    second = sums.read(None, [(process.reader, True)]).points
    assert [id(point) for point in first.values()] == [id(point) for point in second.values()]


def test_who_answers_no_request_reads_with_pauses() -> None:
    """More of them with more series; the totals are the same."""
    segment = MemorySegment(None, Header(1, 0, Root(1, 0, 0.0), 0, (0, 0)))
    reader, pauses, numbers = OwnSegmentReader(segment), list[None](), []
    sums, without = Sums(lambda: pauses.append(None)), Sums()
    for number in range(5000):
        key = layout.make_key(m.CALCULATION_ERRORS_TOTAL.name, (str(number),))
        segment.append(layout.COUNTER, key, [1.0, float(number)])
        if number in (0, 4999):
            reader.records()
            pauses.clear()
            totals = sums.read(None, [(reader, True)])
            numbers.append(len(pauses))
            assert told(totals) == told(without.read(None, [(reader, True)]))
    assert numbers[0] < numbers[1] < 50
