"""Look-ups: gauges over what the application stores, asked for in the background.

One process of the service asks for each, at its interval, on a connection of its own with a time limit.
It never waits in a request, and imports no library that the application has not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import UNKNOWN
from otel_accubooks.instrument import lookup_redis, lookup_sql
from otel_accubooks.instrument.polling import polls
from otel_accubooks.instrument.rules import LOOKUP_GAUGES, Lookup
from otel_accubooks.instrument.tally import text_of, told_once
from otel_accubooks.recorder.process import recorder

PREPARE_SECONDS = 1.0
KEPT_INTERVALS = 3

Answer = list[tuple[tuple[Any, ...], Any]]  # label values and value of each row


class WrongAnswer(ValueError):
    """An answer that makes no gauge; the text says what was found and what was expected."""


def watch(lookups: Iterable[Lookup]) -> None:
    """Asks for each of `lookups` as soon as this process has what it takes to ask."""
    waiting = {lookup.gauge.name: _Asked(lookup) for lookup in lookups}
    if not waiting:
        return

    def prepare() -> None:
        if polls.threadless:
            told_once("no look-up is asked for where uWSGI runs without --enable-threads")
            return
        for name, asked in list(waiting.items()):
            if asked.ready():
                waiting.pop(name, None)
                polls.add(f"look-up of {name}", asked.ask, every=asked.lookup.every)

    polls.add_everywhere("preparing look-ups", prepare, PREPARE_SECONDS)


class _Asked:
    """One look-up in this process, and the series that it shows."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self._query: Callable[[], Answer] | None = None
        self._shown: set[tuple[str, ...]] = set()
        self._until = 0.0

    def ready(self) -> bool:
        """True once the library and the address are there; what never will be is told once."""
        source = lookup_sql if self.lookup.sql else lookup_redis
        try:
            self._query = source.query_of(self.lookup)
        except LookupError as error:
            told_once(f"{self.lookup.where}: {self.lookup.gauge.name} is not looked up: {error}")
        return self._query is not None

    def ask(self) -> None:
        """Asks, and sets the gauge. A failure is told once; it takes the value away in the end."""
        assert self._query is not None
        try:
            values = values_of(self.lookup.gauge, self._query())
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            told_once(
                f"{self.lookup.where}: the look-up of {self.lookup.gauge.name} failed: {reason}; "
                f"its last value stands for {KEPT_INTERVALS} intervals",
                about=self.lookup.where,
            )
            if monotonic() > self._until:
                self._show({})
            return
        self._until = monotonic() + KEPT_INTERVALS * self.lookup.every
        self._show(values)

    def _show(self, values: dict[tuple[str, ...], float]) -> None:
        family = recorder.gauge(self.lookup.gauge)
        for labels, value in values.items():
            family.labels(*labels).set(value)
        for labels in self._shown - values.keys():
            family.labels(*labels).set(math.nan)  # no data
        self._shown = set(values)


def values_of(gauge: Metric, answer: Answer) -> dict[tuple[str, ...], float]:
    """The value of each series. Raises WrongAnswer.

    Rows with a label outside the closed set are one, "unknown": their sum, or of percentages the
    highest. A label of the closed set that is not in the answer is 0. A null is no value.
    """
    _, least, greatest = LOOKUP_GAUGES[gauge.name]
    values: dict[tuple[str, ...], float] = {}
    for label in gauge.labels:
        values.update({(value,): 0.0 for value in label.values or ()})
    for given, raw in answer:
        if raw is None:
            continue
        value = _number(raw)
        if not least <= value <= greatest:
            expected = f"a number from {least:g}" + (f" to {greatest:g}" * (greatest < math.inf))
            raise WrongAnswer(f"a value is {str(raw)[:40]!r}, expected {expected}")
        labels = tuple(
            text if (text := text_of(each)) in (label.values or ()) else UNKNOWN
            for label, each in zip(gauge.labels, given, strict=True)
        )
        if labels not in values:
            values[labels] = value
        else:
            values[labels] = (
                max(values[labels], value) if gauge.unit == "%" else values[labels] + value
            )
    if not gauge.labels and len(answer) > 1:
        raise WrongAnswer(f"it has {len(answer)} rows, expected one")
    return values


def _number(raw: Any) -> float:
    try:
        return math.nan if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError, OverflowError):
        return math.nan
