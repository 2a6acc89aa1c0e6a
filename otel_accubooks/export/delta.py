"""What was added since the last acknowledged export, for backends that count in deltas."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from otel_accubooks.recorder.totals import Point

_Series = tuple[float, float, list[float]]


class Acknowledged:
    """The totals that a receiver has acknowledged, kept in a file so that a successor knows them.

    At least once: where an acknowledgement was lost, the same growth is sent again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._time = 0.0
        self._series: dict[str, _Series] = {}
        try:
            kept = json.loads(path.read_text("utf-8"))
            self._time = kept["time"]
            self._series = {name: tuple(row) for name, row in kept["series"].items()}
        except (FileNotFoundError, ValueError, KeyError):
            pass

    def added(self, points: list[Point]) -> list[Point]:
        """The points with what counters and histograms grew by; gauges as they are."""
        return [point if point.metric.type == "gauge" else self._grown(point) for point in points]

    def _grown(self, point: Point) -> Point:
        # The host's counters began with the host: what was before us is not growth.
        unknown: _Series = (point.value if point.metric.group == "system" else 0.0, 0.0, [])
        value, total, counts = self._series.get(_name(point), unknown)
        counts = counts or [0.0] * len(point.counts)
        return replace(
            point,
            start=max(point.start, self._time),
            value=point.value - value,
            total=point.total - total,
            counts=[now - then for now, then in zip(point.counts, counts, strict=True)],
        )

    def acknowledge(self, points: list[Point], now: float) -> None:
        """Notes that `points` have arrived, at `now` (Unix seconds)."""
        self._time = now
        self._series = {
            _name(point): (point.value, point.total, point.counts)
            for point in points
            if point.metric.type != "gauge"
        }
        hidden = self._path.with_name(f".{self._path.name}")
        hidden.write_text(json.dumps({"time": now, "series": self._series}), "utf-8")
        os.rename(hidden, self._path)


def _name(point: Point) -> str:
    return "\x1f".join((point.metric.name, *point.labels, "overflow" if point.overflow else ""))
