"""The whole service at one moment, as any of its workers sees it in shared memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from otel_accubooks.contract.metric import Metric
from otel_accubooks.export.all_hosts import NumbersFile
from otel_accubooks.export.collection import Collection
from otel_accubooks.export.ratios import Growth, Windows
from otel_accubooks.export.shared import Shared
from otel_accubooks.recorder.health import Target, targets
from otel_accubooks.recorder.memory import MemoryReader
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.segment import SegmentWriter
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Point


@dataclass(frozen=True)
class View:
    """What was read: `points` are those of the contract, `unsent` what is told to nobody else."""

    now: float
    points: list[Point]
    unsent: list[Point]
    targets: list[Target]

    def of(self, metric: Metric) -> list[float]:
        """The values of a metric's series; none where nothing of the kind was seen."""
        found: Iterable[Point] = self.unsent if metric.group == "unsent" else self.points
        return [point.value for point in found if point.metric is metric]

    def total(self, metric: Metric) -> float | None:
        """The sum of a metric's series, None where there is none."""
        return sum(values) if (values := self.of(metric)) else None

    def highest(self, metric: Metric) -> float | None:
        """The highest value of a metric's series, None where there is none."""
        return max(self.of(metric), default=None)


class _Looking:
    """How one process reads, from when it has a segment until it has another one."""

    def __init__(self, segment: SegmentWriter | None) -> None:
        self.pid = os.getpid()
        self.segment = segment
        # Its own, since one that was inherited over a fork may be held by nobody.
        self.lock = threading.Lock()
        if segment is None or recorder.folder is None:
            from otel_accubooks.export.host import Host

            self.collection = Collection(MemoryReader(recorder), Host(), Windows())
        else:
            folder = recorder.folder
            shared = Shared(folder.path / "shared")
            windows = Windows(shared=shared.past)
            self.collection = Collection(ServiceReader(folder), shared, windows)
            self.collection.hosts = NumbersFile(folder.path / "hosts")


class Service:
    """The service that this process belongs to."""

    def __init__(self) -> None:
        self._looking: _Looking | None = None

    def look(self) -> View:
        """Everything, now. A process that has recorded nothing yet joins the service by it."""
        recorder.join()
        looking = self._looking
        if looking is None or looking.pid != os.getpid() or looking.segment is not recorder.segment:
            looking = self._looking = _Looking(recorder.segment)
        with looking.lock:
            points = looking.collection.collect()
            totals = looking.collection.totals
            now = time.time()
            unsent = [p for p in totals.points.values() if p.metric.group == "unsent"]
            return View(now, points, unsent, targets(totals, now))

    def growth(self, metric: Metric) -> Growth:
        """What the percentage `metric` is the share of, in its window up to now."""
        self.look()
        looking = self._looking
        assert looking is not None
        with looking.lock:
            collection = looking.collection
            return collection.windows.growth(metric, collection.totals, time.time())
