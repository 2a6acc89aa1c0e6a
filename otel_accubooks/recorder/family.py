"""A metric in a process: its series by label values, bounded in number and length."""

from __future__ import annotations

from logging import getLogger
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder import layout
from otel_accubooks.recorder.series import Series, make_series

if TYPE_CHECKING:
    from otel_accubooks.recorder.recorder import Recorder

_log = getLogger("otel_accubooks")

MAX_LABEL_CHARACTERS = 200

S = TypeVar("S", bound=Series)


class Family(Generic[S]):
    """A metric in this process: its series by label values, at most `limit` of them."""

    def __init__(self, metric: Metric, recorder: Recorder) -> None:
        self.metric = metric
        self._recorder = recorder
        self._series: dict[tuple[str, ...], S] = {}
        self._overflow: S | None = None
        self._closed = [
            None if label.values is None else frozenset(label.values) for label in metric.labels
        ]

    def labels(self, *values: str) -> S:
        """The series with these label values, in the order of the contract.

        A value outside a label's closed set becomes that set's last; beyond the limit of series,
        everything goes to one overflow series.
        """
        series = self._series.get(values)
        return series if series is not None else self._new(values)

    def _new(self, values: tuple[str, ...]) -> S:
        kept = tuple(self._bounded(i, value) for i, value in enumerate(values))
        with self._recorder.lock():
            known = self._series.get(kept)
            if known is None and len(self._series) < self._recorder.series_limit:
                known = self._series[kept] = self._make(kept)
        return known if known is not None else self._overflow_series()

    def _make(self, labels: tuple[str, ...], flag: int = 0) -> S:
        key = layout.make_key(self.metric.name, labels)
        kind = layout.KINDS[self.metric.type] | flag
        return cast(S, make_series(kind, key, self.metric.buckets, self._recorder.attach))

    def _bounded(self, index: int, value: object) -> str:
        text = str(value).replace(layout.SEPARATOR, " ")[:MAX_LABEL_CHARACTERS]
        closed = self._closed[index]
        if closed is None or text in closed:
            return text
        return self.metric.labels[index].values[-1]  # type: ignore[index]

    def _overflow_series(self) -> S:
        if self._overflow is None:
            self._overflow = self._make((), layout.OVERFLOW)
            if self._recorder.first_to_say(overflow_said(self.metric.name)):
                _log.warning(
                    "otel-accubooks: %s",
                    overflow_text(self.metric.name, self._recorder.series_limit, "this process"),
                )
        return self._overflow

    def announce(self) -> None:
        """Makes every series of a closed label set exist at 0, so that a first event is growth."""
        rows: list[tuple[str, ...]] = [()]
        for label in self.metric.labels:
            rows = [(*row, value) for row in rows for value in label.values or ()]
        for row in rows:
            series = self.labels(*row)
            series._attach(series)


def overflow_said(metric: str) -> str:
    """The word under which it is noted that the service said that `metric` has too many series."""
    return f"overflow {metric}"


def overflow_text(metric: str, limit: int, where: str) -> str:
    """What is said of it, once."""
    return (
        f"{metric} has more than {limit} series in {where}; further label values are counted in "
        "one series with otel.metric.overflow=true (OTEL_ACCUBOOKS_SERIES_LIMIT sets the number)"
    )
