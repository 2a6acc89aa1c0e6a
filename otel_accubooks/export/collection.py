"""Everything that a service has to tell at one moment, as finished points."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import Protocol

from otel_accubooks.contract import metrics as m
from otel_accubooks.export import people
from otel_accubooks.export.queue_workers import utilization
from otel_accubooks.export.ratios import Windows
from otel_accubooks.recorder.health import targets
from otel_accubooks.recorder.pacing import Pause, no_pause, parts
from otel_accubooks.recorder.reader import SegmentReader
from otel_accubooks.recorder.root import Root
from otel_accubooks.recorder.sessions import add_over
from otel_accubooks.recorder.totals import Point, Totals
from otel_accubooks.recorder.visits import Sessions

_PART = 1024  # series at once


class Reader(Protocol):
    """The totals of a service, and the segments that they were read from."""

    readers: dict[str, SegmentReader]

    def read(self) -> Totals: ...


class HostReader(Protocol):
    """The system group of the contract; `pids` are the live processes of the service."""

    def points(self, pids: set[int]) -> list[Point]: ...


class Collection:
    """Reads the segments and the host, and derives what the contract derives from them."""

    def __init__(
        self,
        reader: Reader,
        host: HostReader,
        windows: Windows | None = None,
        pause: Pause = no_pause,
    ) -> None:
        """`pause` is called now and then while points are made."""
        self._reader = reader
        self._pause = pause
        self.windows = windows or Windows()
        self.totals = Totals()  # as they were last read, and when
        self.now = 0.0
        self.sessions: dict[int, Sessions] = {}  # in those totals, beyond what the base has
        self.hosts: people.AllHosts | None = None
        self._host = host
        self._roots: set[Root] = set()
        self._starts: dict[Hashable, float] = {}

    def roots(self) -> set[Root]:
        """The processes alive in which the service was started, also between two workers' lives."""
        self._roots |= {reader.root for reader in self._reader.readers.values()}
        self._roots = {root for root in self._roots if root.alive()}
        return self._roots

    def collect(self) -> list[Point]:
        """All points of the service now."""
        now = self.now = time.time()
        before, totals = self.totals, self._reader.read()
        pids = {reader.pid for reader in self._reader.readers.values()}
        pids |= {root.pid for root in self.roots()}
        if totals is not before:  # else nothing new could be read
            self.totals, self.sessions = totals, totals.visits.sessions(now)
            add_over(totals, self.sessions)
        points = self._recorded(totals)
        self._pause()
        points.extend(self.windows.percentages(totals, now))
        self._pause()
        points.extend(people.points(totals, self.sessions, now, self.hosts))
        points.extend(utilization(totals))
        points.extend(self._service(totals, now))
        points.extend(self._started((p.metric.name, p.labels), p) for p in self._host.points(pids))
        return points

    def _recorded(self, totals: Totals) -> list[Point]:
        recorded, first, series = [], self._starts.setdefault, [*totals.points.items()]
        for part in parts(len(series), _PART, self._pause):
            for key, point in series[part]:
                metric, start = point.metric, point.start
                if metric.group == "unsent":
                    continue
                if metric.type != "gauge" and first(key, start) != start:
                    point = self._started(key, point)  # noqa: PLW2901
                recorded.append(point)
        return recorded

    def _started(self, series: Hashable, point: Point) -> Point:
        # Receivers take another start for another series: the one that was sent first stays.
        start = self._starts.setdefault(series, point.start)
        return point if start == point.start else replace(point, start=start)

    def _service(self, totals: Totals, now: float) -> Iterator[Point]:
        roots = self.roots()
        if not roots:
            return  # the service has ended: it is neither up nor healthy
        yield Point(m.SYSTEM_UPTIME_SECONDS, (), value=max(root.age(now) for root in roots))
        healthy = all(target.healthy for target in targets(totals, now))
        yield Point(m.SYSTEM_HEALTH_STATUS, (), value=float(healthy))
