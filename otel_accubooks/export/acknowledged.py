"""What a receiver has already had, so that growth since then can be told."""

from __future__ import annotations

import json
from dataclasses import replace
from logging import getLogger
from pathlib import Path
from time import time

from otel_accubooks.recorder.files import replace_file
from otel_accubooks.recorder.totals import Point

_log = getLogger("otel_accubooks")

_Series = tuple[float, float, list[float]]


class Acknowledged:
    """The last totals that a receiver acknowledged; in a file, where a successor has to know them."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._time = 0.0
        self._series: dict[str, _Series] = {}
        self._points: list[Point] | None = None  # what that is to be made of
        try:
            kept = json.loads(path.read_text("utf-8")) if path else {}
            self._time = kept.get("time", 0.0)
            self._series = {name: tuple(row) for name, row in kept.get("series", {}).items()}
        except (FileNotFoundError, ValueError):
            pass

    @property
    def nothing(self) -> bool:
        """True while nothing was ever acknowledged."""
        return not self._time

    def added(self, points: list[Point]) -> list[Point]:
        """The points with what counters and histograms grew by; gauges as they are."""
        return [point if point.metric.type == "gauge" else self._grown(point) for point in points]

    def _grown(self, point: Point) -> Point:
        value, total, counts = self._last(point)
        return replace(
            point,
            # Never in the future, whoever sets the clock back.
            start=min(max(point.start, self._time), time()),
            value=point.value - value,
            total=point.total - total,
            counts=[now - then for now, then in zip(point.counts, counts, strict=True)],
        )

    def baseline(self, points: list[Point]) -> list[Point]:
        """The counters and histograms of `points` as they were acknowledged: 0 for the new ones."""
        of_growth = (point for point in points if point.metric.type != "gauge")
        return [
            replace(point, value=value, total=total, counts=counts, exemplars=())
            for point in of_growth
            for value, total, counts in [self._last(point)]
        ]

    def _known(self) -> dict[str, _Series]:
        # Mostly nobody asks what a receiver of totals had.
        if self._points is not None:
            self._series = {
                _name(point): (point.value, point.total, point.counts)
                for point in self._points
                if point.metric.type != "gauge"
            }
            self._points = None
        return self._series

    def _last(self, point: Point) -> _Series:
        return self._known().get(_name(point), (0.0, 0.0, [0.0] * len(point.counts)))

    def acknowledge(self, points: list[Point], now: float) -> None:
        """Notes that `points` have arrived, at `now` (Unix seconds)."""
        self._time = now
        self._points = points
        if self._path is not None:
            try:
                self.write(self._path)
            except OSError as error:
                _log.warning("%s", error)  # a successor may then count what was added twice

    def write(self, path: Path) -> None:
        """Writes it to a file, for a successor. Raises OSError."""
        replace_file(path, json.dumps({"time": self._time, "series": self._known()}))

    @classmethod
    def read(cls, path: Path) -> Acknowledged | None:
        """What `write` wrote there, to go on from without the file; None if there is none."""
        read = cls(path)
        read._path = None
        return None if read.nothing else read


def _name(point: Point) -> str:
    return "\x1f".join((point.metric.name, *point.labels, "overflow" if point.overflow else ""))
