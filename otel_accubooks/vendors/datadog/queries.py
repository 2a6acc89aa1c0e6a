"""The words of the contract's queries in Datadog's query language.

Counters arrive as counts, histograms as distributions, gauges as gauges; `service` and `host` are tags of
everything (https://docs.datadoghq.com/opentelemetry/mapping/semantic_mapping/). Datadog keeps tags in
lower case.
"""

from __future__ import annotations

import re

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import HOUR, INSTANCE, MINUTE, Last, Series

SERVICE = "service"
HOST = "host"
ENVIRONMENT = "env"

# One selection inside a query: aggregator, metric, scope, groups, as a count or not.
SELECTION = re.compile(
    r"(?P<aggregator>sum|min|max|avg|p\d+):(?P<metric>[a-z][a-z0-9_]*)\{(?P<scope>[^{}]*)\}"
    r"(?: by \{(?P<by>[a-z_,]+)\})?(?P<count>\.as_count\(\))?(?:\.rollup\((?:sum, |max, )?\d+\))?"
)


def metric(name: str) -> Metric:
    """The metric of this name, of the contract or of the gateway. Raises KeyError."""
    return BY_NAME.get(name) or PIPELINE[name]


def tag(label: str) -> str:
    """The tag that stands for a label: who sent it is a host here."""
    return HOST if label == INSTANCE else label


def count(series: Series, by: tuple[str, ...], scope: str = "") -> str:
    """What a counter grew by."""
    return f"{_selection('sum', series, by, scope)}.as_count()"


def last(query: Last, by: tuple[str, ...], scope: str = "") -> str:
    """A gauge, added up over hosts as its metric says. Without its scale."""
    return _selection(across(query.of), query.of, by, scope)


def across(series: Series) -> str:
    """How a gauge adds up over hosts: sum, min or max."""
    hosts = metric(series.metric).hosts
    return "max" if hosts in (None, "by host") else str(hosts)


def quantile(q: float, series: Series, by: tuple[str, ...], scope: str = "") -> str:
    """A percentile of a distribution."""
    return _selection(f"p{100 * q:g}", series, by, scope)


def mean(series: Series, by: tuple[str, ...], scope: str = "") -> str:
    """The average of a distribution."""
    return _selection("avg", series, by, scope)


def total(parts: list[str]) -> str:
    """Their sum, in brackets where there are several."""
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"


def scaled(factor: float, expression: str) -> str:
    """`factor` * `expression`, as a division where that is the rounder number."""
    if factor == 1:
        return expression
    if factor < 1 and abs(round(1 / factor) - 1 / factor) < 1e-9:
        return f"{expression} / {round(1 / factor)}"
    return f"{factor:.12g} * {expression}"


def last_span(seconds: float) -> str:
    """`300` as `last_5m`, `3600` as `last_1h`."""
    if seconds % HOUR == 0:
        return f"last_{seconds / HOUR:.0f}h"
    return f"last_{seconds / MINUTE:.0f}m"


def _selection(aggregator: str, series: Series, by: tuple[str, ...], scope: str) -> str:
    wheres = [
        f"{tag(where.label)}:{where.value.lower()}{'*' if where.prefix else ''}"
        for where in series.where
    ]
    inside = ",".join([*([scope] if scope else []), *wheres]) or "*"
    groups = f" by {{{','.join(map(tag, by))}}}" if by else ""
    return f"{aggregator}:{series.metric}{{{inside}}}{groups}"
