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


def promql(query: Query, growths: Growths | None = None) -> str:
    """The expression for `query`. With `growths`, growth is read under its recorded name."""
    return _Compiler(growths).of(query)


def duration(seconds: float) -> str:
    """`300` as `5m`: the longest unit in which it is whole."""
    size, unit = next((size, unit) for size, unit in _SECONDS if seconds % size == 0)
    return f"{seconds / size:.0f}{unit}"


def quoted(text: str) -> str:
    """`text` as a PromQL string."""
    return f'"{text.translate(_ESCAPES)}"'


class _Compiler:
    def __init__(self, growths: Growths | None) -> None:
        self._growths = growths

    def of(self, query: Query) -> str:
        compile_one: dict[type, Callable[..., str]] = {
            Growth: self._growth,
            Share: self._share,
            Last: self._last,
            Peak: self._peak,
            Quantile: self._quantile,
            Mean: self._mean,
            Quotient: self._quotient,
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
        # A name of its own keeps each part in the union.
        named = (f'label_replace({part}, "part", "{i}", "", "")' for i, part in enumerate(parts))
        return f"sum by ({_labels(by)}) ({' or '.join(named)})"

    def _last(self, query: Last) -> str:
        metric = BY_NAME.get(query.of.metric) or PIPELINE[query.of.metric]
        across = "max" if metric.hosts in (None, "by host") else metric.hosts
        chosen = self._selector(query.of)
        return f"{_times(query.scale)}{across} by ({_labels(query.by)}) ({chosen})"

    def _grown(self, series: Series, window: float, suffix: str, by: tuple[str, ...]) -> str:
        """Growth since before the window; a series that is new in it grew from 0."""
        chosen, span = self._selector(series, suffix), duration(window)
        known = f"last_over_time({chosen}[{_KNOWN}] offset {span})"
        increase = f"increase({chosen}[{span}])"
        # Its whole value, unless it began anew since; or its first point is the only one.
        new = f"({chosen} > {increase}) or {increase} or {chosen}"
        grown = f"({increase} and {known}) or {new}"
        expression = f"sum by ({_labels(by)}) ({grown})"
        if self._growths is None:
            return expression
        what = "_".join((series.metric + suffix, *(where.value for where in series.where)))
        return self._growths.name_of(what, by, expression, window)

    def _peak(self, query: Peak) -> str:
        return f"max_over_time(({self._last(query.of)})[{duration(query.window)}:])"

    def _quantile(self, query: Quantile) -> str:
        buckets = self._grown(query.of, query.window, "_bucket", (*query.by, "le"))
        return f"histogram_quantile({query.q:g}, {buckets})"

    def _mean(self, query: Mean) -> str:
        total = self._grown(query.of, query.window, "_sum", query.by)
        count = self._grown(query.of, query.window, "_count", query.by)
        return f"{total} / ({count} > 0)"

    def _quotient(self, query: Quotient) -> str:
        dividend, divisor = self.of(query.dividend), self.of(query.divisor)
        return f"{_times(query.scale)}({dividend}) / (({divisor}) != 0)"

    def _selector(self, series: Series, suffix: str = "") -> str:
        name = series.metric
        matchers = [_matcher(where) for where in series.where]
        if name in PIPELINE and PIPELINE[name].type == "counter":
            matchers.insert(0, f'__name__=~"{name}(_total)?"')
            name = ""
        inside = ", ".join(matchers)
        return f"{name}{suffix}{{{inside}}}" if inside else f"{name}{suffix}"


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
