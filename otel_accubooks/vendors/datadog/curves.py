"""A curve's question, drawn over time or as one number."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import Literal

from otel_accubooks.contract.query import Growth, Last, Mean, Peak, Quantile, Query, Share
from otel_accubooks.vendors.datadog import queries as q
from otel_accubooks.vendors.datadog import widgets as w

# The dashboard's variable.
SCOPE = f"${q.SERVICE}"

_Aggregator = Literal["last", "sum", "percentile"]


@dataclass(frozen=True)
class Drawn:
    """Queries named a, b, ... and the formula over them."""

    queries: list[w.Query]
    formula: str


def over_time(query: Query, *, bars: bool = False) -> Drawn:
    """At each moment what the query says of its window; with `bars`, one for each whole window."""
    if isinstance(query, Growth):
        counts = [q.count(one, query.by, SCOPE) for one in query.of]
        if bars:
            counts = [f"{one}.rollup(sum, {query.window:.0f})" for one in counts]
            return Drawn(_named(counts), _scaled(query, q.total(list(_letters(counts)))))
        return Drawn(_named(counts), _scaled(query, _moving_total(counts, query.window)))
    if isinstance(query, Share):
        whole = [q.count(one, query.by, SCOPE) for one in query.whole]
        queries = _named([q.count(query.part, query.by, SCOPE), *whole])
        moving = [_moving(one["name"], query.window, "sum") for one in queries]
        return Drawn(queries, f"100 * {moving[0]} / {q.total(moving[1:])}")
    if isinstance(query, Peak):
        return Drawn(_gauge(query.of), q.scaled(query.of.scale, _moving("a", query.window, "max")))
    if isinstance(query, (Quantile, Mean)):
        # A distribution is merged over the span of a rollup, so that this is exact for each.
        return Drawn(_named([f"{_distribution(query)}.rollup({query.window:.0f})"]), "a")
    if isinstance(query, Last):
        return Drawn(_gauge(query), q.scaled(query.scale, "a"))
    raise ValueError(f"{query}: cannot be drawn over time")


def number(query: Query) -> Drawn:
    """One number over the span of its widget, which is the query's window."""
    if isinstance(query, Growth):
        counts = [q.count(one, query.by, SCOPE) for one in query.of]
        return Drawn(_named(counts, "sum"), _scaled(query, q.total(list(_letters(counts)))))
    if isinstance(query, Share):
        whole = [q.count(one, query.by, SCOPE) for one in query.whole]
        queries = _named([q.count(query.part, query.by, SCOPE), *whole], "sum")
        names = [one["name"] for one in queries]
        return Drawn(queries, f"100 * {names[0]} / {q.total(names[1:])}")
    if isinstance(query, Quantile):
        return Drawn(_named([_distribution(query)], "percentile"), "a")
    if isinstance(query, Last):
        return Drawn(_gauge(query, "last"), q.scaled(query.scale, "a"))
    raise ValueError(f"{query}: cannot be shown as a number")


def _gauge(query: Last, aggregator: _Aggregator | None = None) -> list[w.Query]:
    return _named([q.last(query, query.by, SCOPE)], aggregator)


def _distribution(query: Quantile | Mean) -> str:
    if isinstance(query, Quantile):
        return q.quantile(query.q, query.of, query.by, SCOPE)
    return q.mean(query.of, query.by, SCOPE)


def _named(queries: list[str], aggregator: _Aggregator | None = None) -> list[w.Query]:
    named: list[w.Query] = []
    for name, query in zip(ascii_lowercase, queries, strict=False):
        one: w.Query = {"data_source": "metrics", "name": name, "query": query}
        if aggregator is not None:
            one["aggregator"] = aggregator
        named.append(one)
    return named


def _letters(queries: list[str]) -> str:
    return ascii_lowercase[: len(queries)]


def _moving_total(queries: list[str], window: float) -> str:
    return q.total([_moving(name, window, "sum") for name in _letters(queries)])


def _moving(name: str, window: float, aggregator: Literal["sum", "max"]) -> str:
    return f"moving_rollup({name}, {window:.0f}, '{aggregator}')"


def _scaled(query: Growth, expression: str) -> str:
    return expression if query.per is None else q.scaled(query.per / query.window, expression)
