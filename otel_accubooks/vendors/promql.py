"""Queries of the contract as PromQL, for Prometheus from 2.42 on.

Every expression keeps the label `job`, which tells services apart (service.namespace/service.name).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import (
    Always,
    Growth,
    Last,
    Mean,
    Peak,
    Present,
    Quantile,
    Query,
    Quotient,
    Reachable,
    Series,
    Share,
    Where,
)

SERVICE = "job"
# The scrape jobs of collector/prometheus/ that tell whether the application answers.
APPLICATION_JOB = "accubooks"
HEALTH_JOB = "accubooks-health"

# A series unknown for this long before a window is new in it. Longer than an outage of the path.
_KNOWN = "1h"
# As often as points come; what was between two of them nobody knows.
_EXPORTED = "15s"
_SECONDS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True)
class RecordedGrowth:
    """A recording rule; `window` in seconds."""

    name: str
    expression: str
    window: float


class Growths:
    """Growth that is recorded under a name of its own, instead of being computed in every place."""

    def __init__(self) -> None:
        self._by_name: dict[str, RecordedGrowth] = {}

    @property
    def recorded(self) -> list[RecordedGrowth]:
        """What was asked for so far, each once."""
        return list(self._by_name.values())

    def name_of(self, what: str, by: tuple[str, ...], expression: str, window: float) -> str:
        """The name under which `expression` is recorded: level:metric:operation."""
        level = "_".join((SERVICE, *by))
        name = f"{level}:{re.sub(r'[^a-zA-Z0-9_]+', '_', what)}:growth{duration(window)}"
        made = RecordedGrowth(name, expression, window)
        assert self._by_name.setdefault(name, made) == made, f"{name} would mean two things"
        return name


def promql(query: Query, growths: Growths | None = None, *, services: str | None = None) -> str:
    """The expression for `query`. With `growths`, growth is read under its recorded name.

    `services` is a regular expression, of PromQL's or with Grafana's variables: only the services
    whose name it matches are asked. What is reachable from outside has no service's name.
    """
    return _Compiler(growths, services).of(query)


def duration(seconds: float) -> str:
    """`300` as `5m`: the longest unit in which it is whole."""
    size, unit = next((size, unit) for size, unit in _SECONDS if seconds % size == 0)
    return f"{seconds / size:.0f}{unit}"


def quoted(text: str) -> str:
    """`text` as a PromQL string."""
    return f'"{text.translate(_ESCAPES)}"'


class _Compiler:
    def __init__(self, growths: Growths | None, services: str | None) -> None:
        assert growths is None or services is None, "growth is recorded of every service"
        self._growths = growths
        self._services = services

    def of(self, query: Query) -> str:
        compile_one: dict[type, Callable[..., str]] = {
            Growth: self._growth,
            Share: self._share,
            Last: self._last,
            Peak: self._peak,
            Quantile: self._quantile,
            Mean: self._mean,
            Quotient: self._quotient,
            Present: self._present,
            Reachable: _reachable,
            Always: lambda _: "vector(1)",
        }
        return compile_one[type(query)](query)

    def _growth(self, query: Growth) -> str:
        total = self._sum(query.of, query.window, query.by)
        return total if query.per is None else f"{_times(query.per / query.window)}{total}"

    def _share(self, query: Share) -> str:
        part = self._grown(query.part, query.window, "", query.by)
        whole = self._sum(query.whole, query.window, query.by)
        # What has no series yet has grown by nothing.
        return f"100 * ({part} or 0 * {whole}) / ({whole} > 0)"

    def _sum(self, of: tuple[Series, ...], window: float, by: tuple[str, ...]) -> str:
        parts = [self._grown(series, window, "", by) for series in of]
        if len(parts) == 1:
            return parts[0]
        if self._growths is not None:
            return f'sum by ({_labels(by)}) ({{__name__=~"{"|".join(parts)}"}})'
        return f"sum by ({_labels(by)}) ({_union(parts)})"

    def _last(self, query: Last) -> str:
        metric = BY_NAME.get(query.of.metric) or PIPELINE[query.of.metric]
        across = "max" if metric.hosts in (None, "by host") else metric.hosts
        (chosen,) = self._selectors(query.of)
        return f"{_times(query.scale)}{across} by ({_labels(query.by)}) ({chosen})"

    def _grown(self, series: Series, window: float, suffix: str, by: tuple[str, ...]) -> str:
        """Growth since before the window; a series that is new in it grew from 0."""
        span = duration(window)
        grown = _union([_grew(chosen, span) for chosen in self._selectors(series, suffix)])
        expression = f"sum by ({_labels(by)}) ({grown})"
        if self._growths is None:
            return expression
        what = "_".join((series.metric + suffix, *(where.value for where in series.where)))
        return self._growths.name_of(what, by, expression, window)

    def _peak(self, query: Peak) -> str:
        # Without a step it would be the server's evaluation interval, a minute if nobody set it.
        return f"max_over_time(({self._last(query.of)})[{duration(query.window)}:{_EXPORTED}])"

    def _quantile(self, query: Quantile) -> str:
        buckets = self._grown(query.of, query.window, "_bucket", (*query.by, "le"))
        quantile = f"histogram_quantile({query.q:g}, {buckets})"
        # Without observations it is NaN, which an alert's comparison leaves out by itself.
        return quantile if self._growths is not None else f"({quantile} >= 0)"

    def _mean(self, query: Mean) -> str:
        total = self._grown(query.of, query.window, "_sum", query.by)
        count = self._grown(query.of, query.window, "_count", query.by)
        return f"{total} / ({count} > 0)"

    def _quotient(self, query: Quotient) -> str:
        dividend, divisor = self.of(query.dividend), self.of(query.divisor)
        return f"{_times(query.scale)}({dividend}) / (({divisor}) != 0)"

    def _present(self, query: Present) -> str:
        (chosen,) = self._selectors(query.of)
        counted = f"count by ({_labels(())}) "
        known = f"{counted}(last_over_time({chosen}[{duration(query.known)}]))"
        return f"(({counted}({chosen}) > bool 0) or 0 * {known})"

    def _selectors(self, series: Series, suffix: str = "") -> list[str]:
        name = series.metric
        names = [name + suffix]
        if name in PIPELINE and PIPELINE[name].type == "counter":
            names.append(f"{name}_total")
        matchers = [_matcher(where) for where in series.where]
        if self._services is not None:
            matchers.insert(0, f"{SERVICE}=~{quoted(self._services)}")
        inside = ", ".join(matchers)
        return [f"{name}{{{inside}}}" if inside else name for name in names]


def _union(parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    # A label of its own keeps each part.
    return " or ".join(
        f'label_replace({part}, "part", "{number}", "", "")' for number, part in enumerate(parts)
    )


def _grew(chosen: str, span: str) -> str:
    """Growth of each series of `chosen`: exact, but for one that began anew between two points."""
    newest = f"last_over_time({chosen}[{span}])"
    lowest = f"min_over_time({chosen}[{span}])"
    before = f"last_over_time({chosen}[{_KNOWN}] offset {span})"
    return (
        f"(increase({chosen}[{span}]) and resets({chosen}[{span}]) > 0)"
        # Lower than before: it began anew before its first point in the window, and grew from 0.
        f" or ({newest} - ({before} <= {lowest})) or {newest}"
    )


def _reachable(_: Reachable) -> str:
    up = f"max(up{{job={quoted(APPLICATION_JOB)}}})"
    healthy = f"max(up{{job={quoted(HEALTH_JOB)}}})"
    # Gone is not reachable either; a health check is optional.
    return f"({up} or vector(0)) * ({healthy} or vector(1))"


def _matcher(where: Where) -> str:
    if where.prefix:
        return f"{where.label}=~{quoted(where.value + '.*')}"
    return f"{where.label}={quoted(where.value)}"


def _labels(by: tuple[str, ...]) -> str:
    return ", ".join((SERVICE, *by))


def _times(factor: float) -> str:
    return "" if factor == 1.0 else f"{factor:.12g} * "
