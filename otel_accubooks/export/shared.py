"""What the exporter alone can tell, since it alone looks regularly, in a file for all processes.

These are the readings of the host (a share of CPU is one since the last look) and where the window of
each percentage began. So whichever worker is asked says the same, and reads no /proc for it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.export.ratios import RATIOS, Past
from otel_accubooks.recorder.files import replace_file
from otel_accubooks.recorder.totals import Point

LEAST_STALE_SECONDS = 60.0
STALE_INTERVALS = 3  # an exporter that was killed has a successor long before


class Shared:
    """The file, for whoever writes it and for whoever reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None
        self._stale_at = 0.0
        self._points: list[Point] = []
        self._past: Past = {}

    def write(self, points: Iterable[Point], past: Past, interval: float) -> None:
        """Tells the host's points and the past; `interval` is in seconds, until the next time."""
        content = {
            "stale_at": time.time() + max(LEAST_STALE_SECONDS, STALE_INTERVALS * interval),
            "points": [[p.metric.name, p.labels, p.start, p.value] for p in points],
            "past": {
                name: [
                    [at, [[labels, *row] for labels, row in parts.items()]] for at, parts in rows
                ]
                for name, rows in past.items()
            },
        }
        try:
            replace_file(self._path, json.dumps(content))
        except OSError:
            pass  # no room: it is told with the next export

    def points(self, pids: set[int]) -> list[Point]:  # noqa: ARG002
        """The host and the processes of the service; nothing where the exporter has told nothing."""
        self._read()
        return self._points if time.time() < self._stale_at else []

    def past(self) -> Past:
        """The past of the percentages, as `Windows` keeps it; empty before the exporter's first."""
        self._read()
        return self._past

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                version = found.st_ino, found.st_mtime_ns
                if version == self._version:
                    return
                content = json.load(file)
            self._stale_at = float(content["stale_at"])
            self._points = [
                Point(BY_NAME[name], tuple(labels), start=start, value=value)
                for name, labels, start, value in content["points"]
            ]
            self._past = {
                metric.name: [
                    (at, {tuple(labels): (part, whole) for labels, part, whole in parts})
                    for at, parts in content["past"][metric.name]
                ]
                for metric in RATIOS
            }
            self._version = version
        except (OSError, LookupError, TypeError, ValueError):
            pass  # not yet told, or by another version of this package
