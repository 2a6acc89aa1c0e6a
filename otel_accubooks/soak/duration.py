"""Lengths of time, as people write and read them."""

from __future__ import annotations

import re

LONGEST_SECONDS = 366 * 86400.0
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse(text: str) -> float:
    """Seconds of a length such as 90s, 15m, 24h or 2d. Raises ValueError with one line."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(
            f"{text[:40]!r} is no length of time; expected a number and s, m, h or d, a year at most: 24h"
        )
    return seconds


def spoken(seconds: float) -> str:
    """The length in its two largest units, e.g. 1 d 2 h, 3 min 20 s, 4.5 s."""
    if seconds < 10:
        return f"{seconds:.3g} s"
    left, parts = round(seconds), []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])
