"""What a threshold might be, by what was seen. A suggestion: people know what they accept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from otel_accubooks.contract.alert import Comparison
from otel_accubooks.contract.query import HOUR
from otel_accubooks.soak.statistics import quantile, sigma

Advice = Literal["keep", "raise", "lower", "mend", "too little"]

# Half a day has a busy and a quiet part.
LEAST_SECONDS = 12 * HOUR
LEAST_VALUES = 100
EXTREME = 0.995
HEADROOM = 2.0
SIGMAS = 6.0
SHARE = 0.25
# A threshold so many times as far from the usual as would do speaks late.
TOO_FAR = 4.0
# What people accept is not far from what the contract says.
MOST_TIMES, LEAST_TIMES = 2.0, 0.1

RULE = (
    f"Suggested is the median of what was held for as long as the alert waits, plus the greatest of "
    f"{HEADROOM:g} times the distance to its p{100 * EXTREME:g}, {SIGMAS:g} robust standard deviations "
    f"(1.4826 times the median absolute deviation) and {SHARE:.0%} of the median, on the side to which "
    f"the alert looks: what is usual stays quiet, also on a day twice as wild. Never more than "
    f"{MOST_TIMES:g} times the contract's threshold, nor less than {LEAST_TIMES:g} of it, and a "
    f"percentage stays within 0 and 100. A threshold is kept while it lies between that value and "
    f"{TOO_FAR:g} times as far from the median."
)


@dataclass(frozen=True)
class Suggestion:
    """What to do with a threshold; `value` where another is suggested, and why."""

    advice: Advice
    reason: str
    value: float | None = None


def suggest(
    values: Sequence[float],
    threshold: float,
    comparison: Comparison,
    *,
    seconds: float,
    percent: bool = False,
) -> Suggestion:
    """What these values, seen over so many seconds, say of a threshold above or (<) below them."""
    if seconds < LEAST_SECONDS or len(values) < LEAST_VALUES:
        seen = f"{len(values)} values in {seconds / HOUR:.3g} h"
        least = f"at least {LEAST_VALUES} in {LEAST_SECONDS / HOUR:g} h are needed"
        return Suggestion("too little", f"{seen}: {least}")
    side = -1.0 if comparison == "<" else 1.0
    middle = statistics.median(values)
    extreme = quantile([side * value for value in values], EXTREME) * side
    if all(value == middle for value in values) and middle == 0:
        return Suggestion("keep", "it was 0 all the time, which says nothing of what is too much")
    room = max(HEADROOM * abs(extreme - middle), SIGMAS * sigma(values), SHARE * abs(middle))
    enough = middle + side * room
    if side * (threshold - extreme) <= 0:
        return _too_near(threshold, enough, side, percent=percent)
    if side * (threshold - middle) > TOO_FAR * room:
        return _too_far(threshold, enough, side, percent=percent)
    return Suggestion("keep", "what is usual stays on its quiet side, and not far from it")


def _too_near(threshold: float, enough: float, side: float, *, percent: bool) -> Suggestion:
    """What is usual here is beyond the threshold."""
    least, most = _acceptable(threshold, percent=percent)
    if not least < enough < most:
        said = (
            "what is usual here is so far beyond it that the system is to be mended, not the alert"
        )
        return Suggestion("mend", said)
    value = _rounded(enough, up=side > 0)
    if not least < value < most:
        value = enough
    said = "what is usual here is beyond it, so that it fires without need: mend it, or move this"
    return Suggestion("raise" if side > 0 else "lower", said, value)


def _too_far(threshold: float, enough: float, side: float, *, percent: bool) -> Suggestion:
    least, most = _acceptable(threshold, percent=percent)
    value = _rounded(min(max(enough, least), most), up=side > 0)
    value = min(max(value, least), most)
    if side * (threshold - value) <= 0:
        return Suggestion("keep", "what was seen is far from it, and people accept no less")
    said = "what was seen stays far from it: this would tell earlier, and be quiet all the same"
    return Suggestion("lower" if side > 0 else "raise", said, value)


def _acceptable(threshold: float, *, percent: bool) -> tuple[float, float]:
    least, most = LEAST_TIMES * threshold, MOST_TIMES * threshold
    return (least, min(most, 100.0)) if percent else (least, most)


def _rounded(value: float, *, up: bool) -> float:
    """Two digits that tell something, away from what was seen."""
    if not value:
        return 0.0
    digits = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    whole = math.ceil(value / digits - 1e-9) if up else math.floor(value / digits + 1e-9)
    return float(f"{whole * digits:.6g}")
