"""What is recorded of a cache, whichever library works on it."""

from __future__ import annotations

from collections.abc import Sequence

from otel_accubooks.contract.metrics import (
    CACHE_HITS_TOTAL,
    CACHE_MISSES_TOTAL,
    CACHE_OPERATION_DURATION_MS,
)
from otel_accubooks.recorder.process import recorder

durations = recorder.histogram(CACHE_OPERATION_DURATION_MS)
_hits_family = recorder.counter(CACHE_HITS_TOTAL)
_misses_family = recorder.counter(CACHE_MISSES_TOTAL)
hits = _hits_family.labels()
misses = _misses_family.labels()


def found_each(values: Sequence[object]) -> None:
    """Counts what a read found: each value is a hit, or a miss where it is None."""
    missing = values.count(None)
    if missing:
        misses.add(missing)
    if len(values) > missing:
        hits.add(len(values) - missing)


def announce() -> None:
    """Makes hits and misses exist at 0, in each process that may count one."""
    recorder.on_open(_announce)


def _announce() -> None:
    _hits_family.announce()
    _misses_family.announce()
