"""Everything that a service has to tell at one moment, as finished points."""

from __future__ import annotations

import time
from collections.abc import Iterator

from otel_accubooks.contract import metrics as m
from otel_accubooks.export.host import Host
from otel_accubooks.export.ratios import Windows
from otel_accubooks.recorder.health import targets
from otel_accubooks.recorder.presence import (
    ACTIVE_SECONDS,
    SESSION_SILENCE_SECONDS,
    SESSIONS,
    USERS,
    active,
)
from otel_accubooks.recorder.segment import Root
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Point, Totals


class Collection:
    """Reads the segments and the host, and derives what the contract derives from them."""

    def __init__(self, reader: ServiceReader, host: Host) -> None:
        self._reader = reader
        self._windows = Windows()
        self._host = host
        self._roots: set[Root] = set()
        self._starts: dict[tuple[str, tuple[str, ...], bool], float] = {}

    def roots(self) -> set[Root]:
        """The processes alive in which the service was started, also between two workers' lives."""
        self._roots |= {reader.root for reader in self._reader.readers.values()}
        self._roots = {root for root in self._roots if root.alive()}
        return self._roots

    def collect(self) -> list[Point]:
        """All points of the service now."""
        now = time.time()
        totals = self._reader.read()
        pids = {reader.pid for reader in self._reader.readers.values()}
        pids |= {root.pid for root in self.roots()}
        points = [p for p in totals.points.values() if p.metric.group != "unsent"]
        points.extend(self._windows.percentages(totals, now))
        points.extend(_presence(totals, now))
        points.extend(self._service(totals, now))
        points.extend(self._host.points(pids))
        for point in points:
            # Receivers take another start for another series: the one that was sent first stays.
            series = (point.metric.name, point.labels, point.overflow)
            point.start = self._starts.setdefault(series, point.start)
        return points

    def _service(self, totals: Totals, now: float) -> Iterator[Point]:
        roots = self.roots()
        if not roots:
            return  # the service has ended: it is neither up nor healthy
        started = min(root.started for root in roots)
        yield Point(m.SYSTEM_UPTIME_SECONDS, (), value=now - started)
        healthy = all(target.healthy for target in targets(totals, now))
        yield Point(m.SYSTEM_HEALTH_STATUS, (), value=float(healthy))


def _presence(totals: Totals, now: float) -> Iterator[Point]:
    users = totals.presence.get(USERS)
    if users is not None:
        count = active(users, now, ACTIVE_SECONDS)
        yield Point(m.ACTIVE_USERS_CONCURRENT, (), value=float(count))
    sessions = totals.presence.get(SESSIONS)
    if sessions is not None:
        count = active(sessions, now, SESSION_SILENCE_SECONDS)
        yield Point(m.USER_SESSIONS_ACTIVE, (), value=float(count))
