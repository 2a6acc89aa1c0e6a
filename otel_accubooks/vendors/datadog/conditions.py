"""What a monitor asks, for each kind of question that the contract's alerts ask.

docs/datadog.md says why each is asked as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.alert import Comparison, Condition, Guard
from otel_accubooks.contract.evaluation import GONE_SECONDS
from otel_accubooks.contract.query import (
    DAY,
    MINUTE,
    Always,
    Growth,
    Last,
    Mean,
    Present,
    Quantile,
    Quotient,
    Share,
)
from otel_accubooks.vendors.datadog import queries as q

# What is always there while anything sends, and never below 0.
_HEARTBEAT = m.SYSTEM_UPTIME_SECONDS.name
_HEARTBEAT_WINDOW = 5 * MINUTE
# Points come up to 20 s late: the newest minute is rarely full.
_LATE = 60
_HELD: dict[Comparison, tuple[str, str]] = {">": ("min", ">"), "<": ("max", "<")}


@dataclass(frozen=True)
class Asked:
    """A monitor's question: `expression` over `window` seconds, brought together by `aggregator`.

    `held` is True where every point of the window must meet the condition. `known` is not 0 where it is
    the absence of points that is asked for: seconds for which a group without any is remembered.
    """

    aggregator: str
    window: float
    expression: str
    operator: str
    threshold: float
    held: bool = False
    grouped: bool = True
    known: float = 0

    @property
    def query(self) -> str:
        """In Datadog's words."""
        spanned = self.aggregator.replace("$", q.last_span(self.window))
        return f"{spanned}:{self.expression} {self.operator} {self.threshold:g}"

    @property
    def delay(self) -> int:
        """Seconds that the evaluation stays behind."""
        return _LATE if self.held and self.window <= _LATE else 0


def asked(condition: Condition, hold: float) -> Asked:
    """The question of one condition that has to hold for `hold` seconds.

    Raises ValueError for one that Datadog cannot ask.
    """
    ask: dict[type, Callable[[Any, Condition, float], Asked]] = {
        Growth: _growth,
        Share: _share,
        Last: _gauge,
        Quantile: _quantile,
        Quotient: _quotient,
        Present: _present,
        Always: _always,
    }
    kind = type(condition.query)
    if kind not in ask:
        raise ValueError(f"{condition}: Datadog has no question for {kind.__name__}")
    return ask[kind](condition.query, condition, hold)


def guarded(guard: Guard, window: float) -> Asked:
    """Enough traffic, over the window in which the alert itself looks."""
    return _counted(guard.growth, window, ">=", guard.least)


def _growth(query: Growth, condition: Condition, hold: float) -> Asked:
    # A rate that was too high all the time is too high over all of it; a plain count must keep its window.
    window = query.window if query.per is None else max(query.window, hold)
    if condition.comparison == "==":
        raise ValueError(f"{condition}: Datadog compares growth with > or <")
    return _counted(query, window, condition.comparison, condition.threshold)


def _counted(query: Growth, window: float, operator: str, threshold: float) -> Asked:
    total = q.total([q.count(series, _by(query.by)) for series in query.of])
    factor = 1.0 if query.per is None else query.per / window
    return Asked("sum($)", window, q.scaled(factor, total), operator, threshold)


def _share(query: Share, condition: Condition, hold: float) -> Asked:
    part = q.count(query.part, _by(query.by))
    whole = q.total([q.count(series, _by(query.by)) for series in query.whole])
    window = max(query.window, hold)
    return Asked(
        "sum($)", window, f"100 * {part} / {whole}", condition.comparison, condition.threshold
    )


def _quantile(query: Quantile, condition: Condition, hold: float) -> Asked:
    window = max(query.window, hold)
    expression = q.quantile(query.q, query.of, _by(query.by))
    return Asked("percentile($)", window, expression, condition.comparison, condition.threshold)


def _gauge(query: Last, condition: Condition, hold: float) -> Asked:
    expression = q.scaled(query.scale, q.last(query, _by(query.by)))
    if not hold and condition.comparison == ">":
        # One point is enough; a minute is the shortest window.
        return Asked("max($)", MINUTE, expression, ">", condition.threshold)
    return _held(expression, condition, hold)


def _held(expression: str, condition: Condition, hold: float) -> Asked:
    """Every point of the window meets the condition."""
    if condition.comparison == "==":
        if condition.threshold != 0:
            raise ValueError(f"{condition}: a gauge can only be held equal to 0")
        # None is ever below 0: all are 0 where the highest is not above it.
        aggregator, operator = "max", "<="
    else:
        aggregator, operator = _HELD[condition.comparison]
    return Asked(f"{aggregator}($)", hold, expression, operator, condition.threshold, held=True)


def _quotient(query: Quotient, condition: Condition, hold: float) -> Asked:
    above, below = query.dividend, query.divisor
    if isinstance(above, Last) and isinstance(below, Last) and above.by == below.by:
        by = _by(above.by)
        expression = f"{q.last(above, by)} / {q.last(below, by)}"
        return _held(q.scaled(query.scale, expression), condition, hold)
    if (
        isinstance(above, Mean)
        and isinstance(below, Mean)
        and above.of == below.of
        and below.window == DAY
        and condition.comparison == ">"
    ):
        # As many times as much is as many percent more; against the same time of the day before.
        percent = 100 * (condition.threshold / query.scale - 1)
        expression = q.mean(above.of, _by(above.by))
        window = max(above.window, hold)
        return Asked("pct_change(avg($),1d_ago)", window, expression, ">", percent)
    raise ValueError(f"{condition}: Datadog has no question for this quotient")


def _present(query: Present, condition: Condition, hold: float) -> Asked:
    if (condition.comparison, condition.threshold) != ("==", 0):
        raise ValueError(f"{condition}: Datadog only tells what is there no more, == 0")
    if q.metric(query.of.metric).type != "gauge":
        raise ValueError(f"{condition}: Datadog takes a count that is missing for 0")
    # No value fires it: none is ever below 0. Points are missing once the whole window has none.
    expression = q.last(Last(query.of), _by(()))
    return Asked("max($)", GONE_SECONDS + hold, expression, "<", 0, known=query.known)


def _always(_: Always, __: Condition, ___: float) -> Asked:
    expression = f"max:{_HEARTBEAT}{{*}}"
    return Asked("max($)", _HEARTBEAT_WINDOW, expression, ">=", 0, grouped=False)


def _by(labels: tuple[str, ...]) -> tuple[str, ...]:
    return (q.SERVICE, *labels)
