"""Exemplars: for each bucket of a histogram, the last value that was recorded in a sampled span."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

Span = tuple[int, int]  # trace id (128 bits), span id (64 bits)

# What tells the sampled span of a request, or of this moment where there is None, or that there is
# none. None while no traces are recorded: histograms that are made then look for no span.
sampled: Callable[[Any], Span | None] | None = None

# number of the writing, value, time (Unix seconds), trace id and span id by 32 bits, number again.
# Each is a number that a double has exactly; ids as bit patterns could be NaN, which copying may change.
ROW: Final = 10
KEPT_SECONDS: Final = 600.0
_MASK: Final = 0xFFFFFFFF


class Exemplar(NamedTuple):
    """A recorded value, in the unit of its metric, and the span in which it was recorded.

    `time` is Unix seconds; the ids are in hexadecimal, of 32 and of 16 digits.
    """

    value: float
    time: float
    trace_id: str
    span_id: str


def write(values: memoryview[float], at: int, value: float, span: Span) -> None:
    """Writes the row that starts at `values[at]`, readable for others at each moment as old or new."""
    number = values[at] + 1.0
    values[at] = number
    for index, part in enumerate((value, time.time(), *_words(*span), number), at + 1):
        values[index] = part


def _words(trace_id: int, span_id: int) -> list[float]:
    both = trace_id << 64 | span_id
    return [float(both >> shift & _MASK) for shift in range(160, -1, -32)]


def rows(found: Iterable[Exemplar | None]) -> list[float]:
    """The rows of these exemplars, as `read` reads them."""
    values: list[float] = []
    for one in found:
        if one is None:
            values += [0.0] * ROW
        else:
            words = _words(int(one.trace_id, 16), int(one.span_id, 16))
            values += [1.0, one.value, one.time, *words, 1.0]
    return values


def read(row: memoryview[float]) -> Iterator[Exemplar | None]:
    """The exemplar of each bucket.

    None where there is none, where it is just being written, and where it is older than anybody
    would look for: those of processes that are gone would stay for ever.
    """
    oldest = time.time() - KEPT_SECONDS
    for at in range(0, len(row), ROW):
        # The last number first: if the first one is the same afterwards, nothing changed in between.
        number = row[at + ROW - 1]
        value, when, *words = row[at + 1 : at + ROW - 1].tolist()
        if not number or row[at] != number or not when >= oldest:
            yield None
            continue
        try:
            digits = "".join(f"{int(word) & _MASK:08x}" for word in words)
        except (OverflowError, ValueError):
            yield None  # damaged: no number
            continue
        yield Exemplar(value, when, digits[:32], digits[32:])
