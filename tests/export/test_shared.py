"""What the exporter tells the other processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.export import shared
from otel_accubooks.export.ratios import Windows
from otel_accubooks.export.shared import Shared
from otel_accubooks.recorder.totals import Point, Totals


def totals(good: float, bad: float) -> Totals:
    found = Totals()
    for status, value in (("200", good), ("500", bad)):
        point = Point(m.HTTP_REQUESTS_TOTAL, ("GET", "/x", status), value=value)
        found.points[status.encode(), False] = point
    return found


def rate(windows: Windows, found: Totals, now: float) -> float:
    (share,) = (
        p.value for p in windows.percentages(found, now) if p.metric is m.HTTP_ERROR_RATE_PERCENT
    )
    return share


def test_every_process_has_the_same_percentage(tmp_path: Path) -> None:
    """One that was not there 5 minutes ago knows what there was, and sees what came since."""
    exporter = Windows()
    rate(exporter, totals(100, 100), 0)
    rate(exporter, totals(190, 110), 299)
    Shared(tmp_path / "shared").write([], exporter.past, 15)
    worker = Windows(shared=Shared(tmp_path / "shared").past)
    assert rate(worker, totals(195, 105), 301) == rate(exporter, totals(195, 105), 301) == 5
    assert rate(worker, totals(190, 110), 302) == rate(exporter, totals(190, 110), 302) == 10


def test_a_successor_remembers_what_its_predecessor_saw(tmp_path: Path) -> None:
    """An exporter that was killed leaves the window behind."""
    exporter = Windows()
    rate(exporter, totals(100, 100), 0)
    Shared(tmp_path / "shared").write([], exporter.past, 15)
    successor = Windows(Shared(tmp_path / "shared").past())
    assert rate(successor, totals(199, 101), 310) == 1


def test_the_hosts_readings_are_told_until_they_are_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels, starts and values are as they were written; an exporter that is long gone tells nothing."""
    points = [
        Point(m.SYSTEM_CPU_USAGE_PERCENT, (), value=12.5),
        Point(m.SYSTEM_DISK_IO_BYTES_TOTAL, ("read",), start=17.0, value=2.0**40),
    ]
    Shared(tmp_path / "shared").write(points, {}, 15)
    reader = Shared(tmp_path / "shared")
    assert reader.points(set()) == points
    later = shared.time.time() + shared.LEAST_STALE_SECONDS + 1
    monkeypatch.setattr(shared.time, "time", lambda: later)
    assert reader.points(set()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"stale_at": "x"}'])
def test_what_cannot_be_read_is_not_told(tmp_path: Path, content: str) -> None:
    """As before the exporter's first export."""
    (tmp_path / "shared").write_text(content)
    reader = Shared(tmp_path / "shared")
    assert (reader.points(set()), reader.past()) == ([], {})
