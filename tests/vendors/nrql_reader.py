"""As much of NRQL as the compiler writes: read strictly, and answered over rows of data.

A row is a dict of attributes, `timestamp` among them. A metric's value stands under the metric's name: a
number, or of a distribution a tuple of its sum and its counts by bucket.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from otel_accubooks.contract.metrics import BY_NAME

Row = dict[str, Any]
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>[-+*/(),=]))"
)
_AGGREGATES = frozenset(
    {"sum", "max", "min", "latest", "average", "percentile", "count", "uniqueCount", "filter"}
)
_MATH = {"clamp_max": min, "clamp_min": max}
_UNITS = frozenset({"minute", "minutes", "hour", "hours", "day", "days"})
KEYWORDS = frozenset(
    {
        "SELECT", "FROM", "WHERE", "AND", "AS", "IN", "LIKE", "FACET", "SINCE", "TIMESERIES", "SLIDE",
        "BY", "AUTO", "LIMIT", "MAX", "ago",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """An expression, by `kind`: number, attribute, call, one of + - * /, or the condition of a filter."""

    kind: str
    value: Any
    parts: tuple[Expression, ...] = ()

    def every(self) -> Iterator[Expression]:
        """Itself and all within."""
        yield self
        for part in self.parts:
            yield from part.every()


@dataclass
class Asking:
    """A query. `matches` are (attribute, operator, values); `clauses` are SINCE and its like."""

    select: list[tuple[Expression, str]] = field(default_factory=list)
    source: str | Asking = ""
    matches: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    facets: list[str] = field(default_factory=list)
    clauses: dict[str, str] = field(default_factory=dict)

    def attributes(self) -> set[str]:
        """Every attribute that is read, its metrics among them."""
        inner = self.source.attributes() if isinstance(self.source, Asking) else set()
        read = {part for expression, _ in self.select for part in expression.every()}
        named = {part.value for part in read if part.kind == "attribute"}
        matched = {name for part in read if part.kind == "where" for name, _, _ in part.value}
        return inner | named | matched | {one for one, _, _ in self.matches} | set(self.facets)


def read(text: str) -> Asking:
    """The query in `text`. Raises ValueError where it is none."""
    reader = _Reader(text)
    asking = reader.query()
    reader.end()
    return asking


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if found is None:
                raise ValueError(f"no word of NRQL: {text[place:]!r}")
            self._tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            place = found.end()
        self._tokens.append(("end", ""))

    @property
    def _next(self) -> str:
        return self._tokens[0][1]

    def _take(self, *expected: str, kind: str = "") -> str:
        found_kind, found = self._tokens[0]
        if (expected and found not in expected) or (kind and found_kind != kind):
            raise ValueError(f"expected {expected or kind}, found {found!r}")
        if kind == "name" and found in KEYWORDS:
            raise ValueError(f"expected a name, found {found}")
        del self._tokens[0]
        return found

    def end(self) -> None:
        self._take(kind="end")

    def query(self) -> Asking:
        asking = Asking()
        self._take("SELECT")
        asking.select.append(self._selected())
        while self._next == ",":
            self._take(",")
            asking.select.append(self._selected())
        self._take("FROM")
        if self._next == "(":
            self._take("(")
            asking.source = self.query()
            self._take(")")
        else:
            asking.source = self._take(kind="name")
        if self._next == "WHERE":
            self._take("WHERE")
            asking.matches = self._matches()
        if self._next == "FACET":
            self._take("FACET")
            asking.facets.append(self._take(kind="name"))
            while self._next == ",":
                self._take(",")
                asking.facets.append(self._take(kind="name"))
        while self._next in ("LIMIT", "SINCE", "TIMESERIES"):
            name = self._take()
            assert name not in asking.clauses, name
            asking.clauses[name] = self._clause(name)
        return asking

    def _clause(self, name: str) -> str:
        if name == "LIMIT":
            return self._take("MAX") if self._next == "MAX" else self._take(kind="number")
        if name == "SINCE":
            return f"{self._time()} {self._take('ago')}"
        if self._next == "AUTO":
            return self._take("AUTO")
        window = self._time()
        if self._next != "SLIDE":
            return window
        return " ".join((window, self._take("SLIDE"), self._take("BY"), self._take("AUTO")))

    def _time(self) -> str:
        return f"{self._take(kind='number')} {self._take(*_UNITS)}"

    def _selected(self) -> tuple[Expression, str]:
        value = self._sum()
        if self._next != "AS":
            return value, ""
        self._take("AS")
        kind = self._tokens[0][0]
        return value, self._take(kind="name") if kind == "name" else _text(self._take(kind="text"))

    def _matches(self) -> list[tuple[str, str, tuple[str, ...]]]:
        found = [self._match()]
        while self._next == "AND":
            self._take("AND")
            found.append(self._match())
        return found

    def _match(self) -> tuple[str, str, tuple[str, ...]]:
        name = self._take(kind="name")
        operator = self._take("=", "LIKE", "IN")
        if operator != "IN":
            return name, operator, (_text(self._take(kind="text")),)
        self._take("(")
        values = [_text(self._take(kind="text"))]
        while self._next == ",":
            self._take(",")
            values.append(_text(self._take(kind="text")))
        self._take(")")
        return name, operator, tuple(values)

    def _sum(self) -> Expression:
        return self._chain(("+", "-"), lambda: self._chain(("*", "/"), self._factor))

    def _chain(self, signs: tuple[str, ...], part: Callable[[], Expression]) -> Expression:
        value = part()
        while self._next in signs:
            sign = self._take()
            value = Expression(sign, sign, (value, part()))
        return value

    def _factor(self) -> Expression:
        kind, token = self._tokens[0]
        if kind == "number":
            return Expression("number", float(self._take()))
        if token == "(":
            self._take("(")
            value = self._sum()
            self._take(")")
            return value
        name = self._take(kind="name")
        if self._next != "(":
            return Expression("attribute", name)
        if name not in (*_AGGREGATES, *_MATH, "floor"):
            raise ValueError(f"no function of NRQL: {name}")
        return Expression("call", name, self._arguments())

    def _arguments(self) -> tuple[Expression, ...]:
        self._take("(")
        if self._next == "*":
            self._take("*")
            self._take(")")
            return ()
        found = [self._sum()]
        while self._next == ",":
            self._take(",")
            if self._next == "WHERE":
                self._take("WHERE")
                found.append(Expression("where", tuple(self._matches())))
            else:
                found.append(self._sum())
        self._take(")")
        return tuple(found)


def _text(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1])


def answer(asking: Asking, data: dict[str, list[Row]]) -> dict[tuple[Any, ...], float]:
    """The first value that is asked for, by group; no value, no entry. `data` by data type."""
    source = asking.source
    rows = _rows(source, data) if isinstance(source, Asking) else data[source]
    found: dict[tuple[Any, ...], float] = {}
    for group, members in _grouped(asking, rows).items():
        value = _value(asking.select[0][0], members)
        if value is not None:
            found[group] = value
    return found


def _rows(asking: Asking, data: dict[str, list[Row]]) -> list[Row]:
    """The answer as rows: what a nested query reads."""
    assert isinstance(asking.source, str)
    return [
        dict(zip(asking.facets, group, strict=True))
        | {name: _value(expression, members) for expression, name in asking.select}
        for group, members in _grouped(asking, data[asking.source]).items()
    ]


def _grouped(asking: Asking, rows: list[Row]) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if all(_holds(row, match) for match in asking.matches):
            group = tuple(row.get(name) for name in asking.facets)
            # What has no such attribute is in no group of it.
            if None not in group:
                groups.setdefault(group, []).append(row)
    return groups


def _holds(row: Row, match: tuple[str, str, tuple[str, ...]]) -> bool:
    name, operator, values = match
    value = row.get(name)
    if operator == "LIKE":
        return value is not None and str(value).startswith(values[0].removesuffix("%"))
    return value in values


def _value(expression: Expression, rows: list[Row]) -> float | None:
    if expression.kind == "number":
        return float(expression.value)
    if expression.kind == "call":
        return _called(expression.value, expression.parts, rows)
    left, right = (_value(part, rows) for part in expression.parts)
    if left is None or right is None or (expression.kind == "/" and right == 0):
        return None
    return {
        "+": left + right, "-": left - right, "*": left * right, "/": left / (right or 1.0)
    }[expression.kind]  # fmt: skip


def _called(name: str, parts: tuple[Expression, ...], rows: list[Row]) -> float | None:
    if name == "filter":
        kept = [row for row in rows if all(_holds(row, match) for match in parts[1].value)]
        return _value(parts[0], kept)
    if name == "count":
        return float(len(rows))
    if name in _MATH or name == "floor":
        values = [_value(part, rows) for part in parts]
        if None in values:
            return None
        known = [value for value in values if value is not None]
        return float(math.floor(known[0])) if name == "floor" else float(_MATH[name](known))
    attribute = parts[0].value
    values_of = [
        (row.get("timestamp", 0), row[attribute]) for row in rows if row.get(attribute) is not None
    ]
    if name == "uniqueCount":
        return float(len({value for _, value in values_of}))
    if name == "sum":
        return float(sum(value for _, value in values_of))
    if not values_of:
        return None
    if name == "latest":
        return float(max(values_of, key=lambda one: one[0])[1])
    if name in ("percentile", "average") and isinstance(values_of[0][1], tuple):
        return _distributed(name, attribute, parts, [value for _, value in values_of])
    numbers = [value for _, value in values_of]
    if name == "average":
        return float(sum(numbers) / len(numbers))
    return float({"max": max, "min": min}[name](numbers))


def _distributed(
    name: str, metric: str, parts: tuple[Expression, ...], values: list[tuple[float, ...]]
) -> float | None:
    """Of the histograms together: the mean, or the percentile, as if New Relic had our buckets."""
    total, *counts = (sum(place) for place in zip(*values, strict=True))
    if not sum(counts):
        return None
    if name == "average":
        return total / sum(counts)
    bounds = BY_NAME[metric].buckets
    upto = list(accumulate(counts))
    rank = parts[1].value / 100 * upto[-1]
    bucket = next(place for place, count in enumerate(upto) if count >= rank)
    if bucket == len(bounds):
        return bounds[-1]
    low = bounds[bucket - 1] if bucket else 0.0
    below = upto[bucket - 1] if bucket else 0.0
    return low + (bounds[bucket] - low) * (rank - below) / (counts[bucket] or 1.0)
