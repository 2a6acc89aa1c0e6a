"""Queries of the contract as NRQL, over New Relic's data type `Metric`.

The gateway sends deltas: a counter is a `count`, of which sum() over a window is the growth in it; a
histogram is a `distribution`; a gauge is a `gauge`. Labels and the attributes of the resource are
attributes of every point. Each answer is grouped by `service.name`, which tells services apart.
Source: https://docs.newrelic.com/docs/nrql/nrql-syntax-clauses-functions/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otel_accubooks.contract.alert import Condition, Guard
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import BY_NAME, SYSTEM_UPTIME_SECONDS
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import (
    INSTANCE,
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
    series_of,
)
from otel_accubooks.vendors.newrelic.marks import PREFIX

SERVICE = "service.name"
SERVICE_INSTANCE = "service.instance.id"
MONITOR = f"{PREFIX}reachable"
# 1 where there are points; grouped, there is no value without.
_ANY = "clamp_max(count(*), 1)"


@dataclass(frozen=True)
class Asked:
    """A value, the data that it is computed from, and the attributes that it is grouped by."""

    value: str
    source: str
    facets: tuple[str, ...] = ()

    def text(self, name: str = "") -> str:
        """The query without times; its value is called `name`, if that is given."""
        called = f" AS {quoted(name)}" if name else ""
        facets = f" FACET {', '.join(self.facets)}" if self.facets else ""
        return f"SELECT {self.value}{called} FROM {self.source}{facets}"


def asked(query: Query) -> Asked:
    """What `query` asks. Its window is left to who asks: an aggregation window, TIMESERIES or SINCE."""
    if isinstance(query, Reachable):
        answered = "clamp_max(filter(count(*), WHERE result = 'SUCCESS'), 1)"
        return Asked(answered, f"SyntheticCheck WHERE monitorName = {quoted(MONITOR)}")
    if isinstance(query, Always):
        return Asked(_ANY, f"Metric {_named((SYSTEM_UPTIME_SECONDS.name,))}")
    return Asked(_value(query), _source(query), _facets(query))


def charted(query: Query) -> Asked:
    """The same over time, where a nested query would need windows of a fixed length.

    What adds up over hosts is the mean of all points times the number of hosts that sent them.
    """
    if not is_nested(query):
        return asked(query)
    if not isinstance(query, Last) or query.of.where or query.scale != 1:
        raise ValueError(f"{query}: New Relic has no way to draw it over time")
    value = f"average({query.of.metric}) * uniqueCount({SERVICE_INSTANCE})"
    return Asked(value, f"Metric {_named((query.of.metric,))}", _facets(query))


def guarded(condition: Condition, guard: Guard) -> Asked:
    """What `condition` asks, with a value at which it does not hold while `guard` is not reached."""
    plain = asked(condition.query)
    # 1 from the least growth on, else 0: one query has one value, and no second condition.
    growth = _growth(guard.growth)
    enough = f"clamp_max(floor({growth if guard.least == 1 else f'{growth} / {guard.least:g}'}), 1)"
    if condition.comparison == ">" and condition.threshold >= 0:
        value = f"{plain.value} * {enough}"
    elif condition.comparison == "<":
        value = f"{plain.value} * {enough} + {condition.threshold:g} * (1 - {enough})"
    else:
        raise ValueError(f"{condition}: New Relic has no way to guard it")
    read = (*series_of(condition.query), *guard.growth.of)
    return Asked(value, f"Metric {_named(_names(read))}", plain.facets)


def is_nested(query: Query) -> bool:
    """Whether its gauges add up over hosts: the newest of each host is asked first, then their sum."""
    return not isinstance(query, Present) and any(
        metric.type == "gauge" and metric.hosts == "sum"
        for metric in map(metric_of, series_of(query))
    )


def metric_of(series: Series) -> Metric:
    """The metric that `series` selects from."""
    return BY_NAME.get(series.metric) or PIPELINE[series.metric]


def quoted(text: str) -> str:
    """`text` as a string of NRQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def attribute(label: str) -> str:
    """The attribute that holds a label of the contract."""
    return SERVICE_INSTANCE if label == INSTANCE else label


def _value(query: Query) -> str:
    compile_one: dict[type, Callable[..., str]] = {
        Growth: _growth,
        Share: _share,
        Last: _last,
        Peak: lambda peak: _last(peak.of),
        Quantile: lambda q: _filtered(q.of, f"percentile({q.of.metric}, {100 * q.q:g})"),
        Mean: lambda mean: _filtered(mean.of, f"average({mean.of.metric})"),
        Quotient: _quotient,
        Present: lambda _: _ANY,
    }
    return compile_one[type(query)](query)


def _growth(query: Growth) -> str:
    total = _sum(query.of)
    if query.per is None:
        return total
    return f"{total} / {query.window / query.per:.12g}"


def _share(query: Share) -> str:
    return f"100 * {_sum((query.part,))} / {_sum(query.whole)}"


def _sum(of: tuple[Series, ...]) -> str:
    # Filtered here and not in WHERE, which would answer nothing instead of 0.
    parts = [_filtered(series, f"sum({name})") for series in of for name in _names((series,))]
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"


def _last(query: Last) -> str:
    across = metric_of(query.of).hosts
    function = across if across in ("sum", "min") else "max"
    value = f"{function}({query.of.metric})"
    if not is_nested(query):
        value = _filtered(query.of, value)
    return value if query.scale == 1 else f"{query.scale:g} * {value}"


def _quotient(query: Quotient) -> str:
    dividend, divisor = _value(query.dividend), _value(query.divisor)
    factor = "" if query.scale == 1 else f"{query.scale:g} * "
    return f"{factor}{dividend} / {divisor}"


def _filtered(series: Series, value: str) -> str:
    if not series.where:
        return value
    return f"filter({value}, WHERE {' AND '.join(map(_matches, series.where))})"


def _matches(where: Where) -> str:
    name = attribute(where.label)
    if not where.prefix:
        return f"{name} = {quoted(where.value)}"
    if "%" in where.value or "_" in where.value:
        raise ValueError(f"{where}: % and _ stand for other characters in NRQL's LIKE")
    return f"{name} LIKE {quoted(where.value + '%')}"


def _source(query: Query) -> str:
    read = series_of(query)
    points = f"Metric {_named(_names(read))}"
    if isinstance(query, Present):
        # Here and not in a filter, which would answer 0 where nothing is to be heard.
        return " AND ".join([points, *map(_matches, query.of.where)])
    if not is_nested(query):
        return points
    newest = ", ".join(
        f"{_filtered(series, f'latest({series.metric})')} AS {series.metric}" for series in read
    )
    by = dict.fromkeys((*_facets(query), SERVICE_INSTANCE))
    return f"(SELECT {newest} FROM {points} FACET {', '.join(by)})"


def _facets(query: Query) -> tuple[str, ...]:
    if isinstance(query, Quotient):
        return _facets(query.dividend)
    by = query.of.by if isinstance(query, Peak) else getattr(query, "by", ())
    return (SERVICE, *map(attribute, by))


def _names(read: tuple[Series, ...]) -> tuple[str, ...]:
    """The names of the metrics; the gateway's counters have one of two, as its version has it."""
    names: dict[str, None] = {}
    for series in read:
        names[series.metric] = None
        if series.metric in PIPELINE and PIPELINE[series.metric].type == "counter":
            names[f"{series.metric}_total"] = None
    return tuple(names)


def _named(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"WHERE metricName = {quoted(names[0])}"
    return f"WHERE metricName IN ({', '.join(map(quoted, names))})"
