"""Bound recorders: one object for each series, which writes straight into shared memory."""

from __future__ import annotations

from bisect import bisect_left
from time import perf_counter

from otel_accubooks.recorder import exemplars, layout
from otel_accubooks.recorder.fork import generation
from otel_accubooks.recorder.plain import Attach, Series

try:
    from otel_accubooks.recorder._compiled import Counter, Gauge, Histogram
except ImportError:  # not built here: docs/platforms.md
    from otel_accubooks.recorder.plain import Counter, Gauge, Histogram

__all__ = ["COMPILED", "Attach", "Counter", "Gauge", "Histogram", "Series", "make_series"]

# True where counters, histograms and gauges are those of `_compiled.c`.
COMPILED = Counter.__module__.endswith("._compiled")


class Exemplars(Series):
    """The exemplars of a histogram: for each bucket the last one."""

    __slots__ = ()

    def keep(self, bucket: int, value: float, span: exemplars.Span) -> None:
        """Keeps `value` as the exemplar of the bucket. Never raises."""
        if generation[0] != self._generation or not self._generation:
            self._attach(self)
        with self._lock:
            exemplars.write(self._values, self._at + bucket * exemplars.ROW, value, span)


class TracedHistogram(Histogram):
    """A histogram that remembers in which sampled spans its values were recorded."""

    __slots__ = ("_exemplars",)

    def __init__(
        self, kind: int, key: bytes, slots: int, attach: Attach, bounds: tuple[float, ...]
    ) -> None:
        super().__init__(kind, key, slots, attach, bounds)
        of_kind = layout.EXEMPLARS | (kind & layout.OVERFLOW)
        self._exemplars = Exemplars(of_kind, key, exemplars.ROW * (len(bounds) + 1), attach)

    def record(self, value: float, /) -> None:
        """Counts one `value`, which was recorded in the span of this moment, if any."""
        self.record_in(None if exemplars.sampled is None else exemplars.sampled(None), value)

    def record_since(self, began: float, /) -> None:
        """Records the milliseconds since `began`, of `time.perf_counter`, as `record` does."""
        self.record((perf_counter() - began) * 1000.0)

    def record_in(self, span: exemplars.Span | None, value: float, /) -> None:
        """Counts one `value`, which was recorded in `span`, if any. Never raises."""
        Histogram.record(self, value)
        if span is not None:
            self._exemplars.keep(bisect_left(self._bounds, value), value, span)


def make_series(kind: int, key: bytes, bounds: tuple[float, ...], attach: Attach) -> Series:
    """The series of `kind` (of `layout`, without OVERFLOW); `bounds` are a histogram's."""
    if kind & ~layout.OVERFLOW == layout.COUNTER:
        return Counter(kind, key, 2, attach)
    if kind & ~layout.OVERFLOW == layout.HISTOGRAM:
        histogram = Histogram if exemplars.sampled is None else TracedHistogram
        return histogram(kind, key, 3 + len(bounds), attach, bounds)
    return Gauge(kind, key, 1, attach)
