"""When something was heard, and when not."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[float, float]


@dataclass(frozen=True)
class Heard:
    """How regularly something came: its usual `interval` in seconds, `gaps` as (from, to), and how
    many points are `missing` between the others of `expected`, gaps not counted.
    """

    interval: float
    gaps: tuple[Span, ...]
    missing: int
    expected: int


def interval(times: Sequence[float], otherwise: float) -> float:
    """The usual distance of these times, in order; `otherwise` where there are too few."""
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    steps = [step for step in steps if step > 0]
    return statistics.median(steps) if len(steps) >= 3 else otherwise


def heard(
    times: Sequence[float],
    start: float,
    end: float,
    every: float,
    *,
    intervals: float,
    least: float,
) -> Heard:
    """What came at `times`, in order, between `start` and `end`, one `every` so many seconds.

    A silence longer than `intervals` of those and than `least` seconds is a gap, also at the edges.
    """
    allowed = max(intervals * every, least)
    edges = [start, *times, end]
    gaps, missing = [], 0
    for number, (earlier, later) in enumerate(itertools.pairwise(edges)):
        silence = later - earlier
        if silence > allowed:
            gaps.append((earlier, later))
        elif 0 < number < len(edges) - 2:
            # A point is missing from 1.75 intervals on: clocks and machines jitter.
            missing += max(math.floor(silence / every + 0.25) - 1, 0)
    silent = sum(later - earlier for earlier, later in gaps)
    return Heard(every, tuple(gaps), missing, max(round((end - start - silent) / every), 0))


def episodes(times: Sequence[float], every: float) -> list[Span]:
    """First and last time of each uninterrupted row of times, one `every` so many seconds."""
    found: list[Span] = []
    for at in times:
        if found and at - found[-1][1] <= 3 * every:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


def most_within(spans: Sequence[Span], seconds: float) -> int:
    """The most spans, in order, that began within so many seconds."""
    begins = [begin for begin, _ in spans]
    return max(
        (sum(1 for later in begins if at <= later < at + seconds) for at in begins), default=0
    )


def resets(values: Sequence[tuple[float, float]]) -> list[float]:
    """When a value that only grows was lower than before."""
    return [at for (_, before), (at, value) in itertools.pairwise(values) if value < before]
