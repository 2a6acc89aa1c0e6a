"""Bound recorders in Python: what `_compiled.c` does, for where it is not built.

The compiled ones call these functions, with themselves as `self`, for all that is not an everyday
record: after a fork, while values are moved, and for amounts that are neither float nor small int.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from otel_accubooks.recorder.fork import generation

if TYPE_CHECKING:
    from _thread import RLock

    from otel_accubooks.recorder.exemplars import Span

Attach = Callable[["Series"], None]


class Series:
    """What all series share: where in this process's segment their values are.

    The place is looked up again after a fork, by `attach`, since a child has a segment of its own.
    """

    __slots__ = ("_at", "_attach", "_generation", "_lock", "_values", "key", "kind", "slots")

    _values: memoryview[float]
    _lock: RLock
    _at: int

    def __init__(self, kind: int, key: bytes, slots: int, attach: Attach) -> None:
        self.kind = kind
        self.key = key
        self.slots = slots
        self._attach = attach
        self._generation = 0

    def kept(self) -> list[float]:
        """The values as they are."""
        return [float(value) for value in self._values[self._at : self._at + self.slots]]

    def place(self, values: memoryview[float], at: int, lock: RLock, number: int) -> None:
        """Told by `attach`: the values are `values[at : at + slots]`, under `lock`."""
        self._values = values
        self._at = at
        self._lock = lock
        self._generation = number

    def leave(self) -> None:
        """Told before the values move: the next record asks `attach`, which waits for the move."""
        self._generation = 0


class Counter(Series):
    """A sum that only grows."""

    __slots__ = ()

    def add(self, amount: float = 1.0, /) -> None:
        """Adds `amount`, which is not negative. Never raises, never blocks on another process."""
        if generation[0] != self._generation or not self._generation:
            self._attach(self)
        with self._lock:
            self._values[self._at + 1] += amount


class Histogram(Series):
    """Counts by bucket, and a sum. The count is that of the buckets, so that it is never torn."""

    __slots__ = ("_bounds",)

    def __init__(
        self, kind: int, key: bytes, slots: int, attach: Attach, bounds: tuple[float, ...]
    ) -> None:
        super().__init__(kind, key, slots, attach)
        self._bounds = bounds

    def record(self, value: float, /) -> None:
        """Counts one `value`, in the unit of the metric. Never raises."""
        if generation[0] != self._generation or not self._generation:
            self._attach(self)
        bucket = bisect_left(self._bounds, value)
        with self._lock:
            values = self._values
            at = self._at + 1
            values[at + 1 + bucket] += 1.0
            values[at] += value

    def record_since(self, began: float, /) -> None:
        """Records the milliseconds since `began`, of `time.perf_counter`. Never raises."""
        self.record((perf_counter() - began) * 1000.0)

    def record_in(self, span: Span | None, value: float, /) -> None:  # noqa: ARG002
        """As `record`, where `span` is the sampled span that the value belongs to. Never raises."""
        self.record(value)


class Gauge(Series):
    """A value that is what was last set."""

    __slots__ = ()

    def set(self, value: float, /) -> None:
        """Sets the value, in the unit of the metric. Never raises."""
        if generation[0] != self._generation or not self._generation:
            self._attach(self)
        with self._lock:
            self._values[self._at] = value
