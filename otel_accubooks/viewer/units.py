"""Numbers and units as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_TIMES = ("ms", "s", "min", "h")
_LONG = 9999.5


def text(value: float, unit: str) -> str:
    """`12345` of `{user}` as "12.3 k users", of `ms` as "1.23 s", of `By/s` as "1.23 kB/s"."""
    number, of = parts(value, unit)
    return f"{number} {of}".rstrip()


def parts(value: float, unit: str) -> tuple[str, str]:
    """The number, and what it is a number of: of the size in which it reads best."""
    value, unit = _readable(value, unit)
    if unit.startswith("By"):
        prefix, value = _prefixed(value)
        return _digits(value), f"{prefix}B{unit[2:]}"
    if unit in (*_TIMES, "%"):
        return _digits(value), unit
    # Four digits are read at a glance.
    prefix, scaled = _prefixed(value) if abs(value) >= _LONG else ("", value)
    return f"{_digits(scaled)} {prefix}".rstrip(), spelled(unit, one=value == 1)


def short(value: float, unit: str) -> str:
    """The same without the noun, for an axis whose panel names it."""
    number, of = parts(value, unit)
    return number if "{" in unit else f"{number} {of}".rstrip()


def spelled(unit: str, *, one: bool = False) -> str:
    """`{request}/s` as "requests/s", `By/s` as "B/s", `1` as nothing."""
    if unit == "1":
        return ""
    if unit.startswith("By"):
        return f"B{unit[2:]}"
    noun, curly, per = unit.removeprefix("{").partition("}")
    if not curly:
        return unit
    return (noun if one and not per else noun.removesuffix("y") + "ies" if _ies(noun)
            else noun + "s") + per  # fmt: skip


def hours(seconds: float) -> str:
    """A range of time, as its buttons say it: "24 h"."""
    return f"{seconds / 3600:g} h"


def ticks(most: float, unit: str, about: int = 4) -> list[float]:
    """Round numbers from 0 to at least `most`, evenly apart: round in the unit that is shown."""
    shown, _ = _readable(most, unit)
    size = shown / most
    least = shown / about
    whole = 10 ** math.floor(math.log10(least))
    step = next(whole * f for f in (1, 2, 2.5, 5, 10) if whole * f >= least * (1 - 1e-9))
    count = math.ceil(shown / step * (1 - 1e-9))
    return [step * i / size for i in range(count + 1)]


def axis_texts(values: Sequence[float], unit: str) -> list[str]:
    """The values of an axis, all in the unit in which the last reads best."""
    last, of = _readable(values[-1], unit)
    prefix = ""
    if unit.startswith("By") or (unit not in (*_TIMES, "%") and last >= _LONG):
        prefix, last = _prefixed(last)
    # The noun stands in the head of the panel.
    after = f"{prefix}{'' if '{' in of or of == '1' else spelled(of)}"
    return [f"{_digits(value * last / values[-1])} {after}".rstrip() for value in values]


def _readable(value: float, unit: str) -> tuple[float, str]:
    if unit == "ms" and abs(value) >= 1000:
        value, unit = value / 1000, "s"
    if unit == "s" and 0 < abs(value) < 0.1:
        value, unit = value * 1000, "ms"
    if unit == "s" and abs(value) >= 120:
        value, unit = value / 60, "min"
    if unit == "min" and abs(value) >= 120:
        value, unit = value / 60, "h"
    return value, unit


def _ies(noun: str) -> bool:
    return noun.endswith("y") and noun[-2:-1] not in "aeiou"


def _prefixed(value: float) -> tuple[str, float]:
    for size, prefix in _SI:
        # 999.6 k would be shown as 1000 k.
        if abs(value) >= size * 0.9995:
            return prefix, value / size
    return "", value


def _digits(value: float) -> str:
    """Three digits that matter, without trailing zeros; no exponent."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{min(decimals, 6)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
