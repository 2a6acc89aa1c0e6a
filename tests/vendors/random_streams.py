"""Services at random: hosts come late, restart, fall silent and go; what they send moves about a level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from otel_accubooks.contract.alert import Alert, Comparison
from otel_accubooks.contract.evaluation import Recorded
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import (
    Growth,
    Last,
    Mean,
    Peak,
    Present,
    Quantile,
    Query,
    Quotient,
    Series,
    Share,
    series_of,
)

Labels = tuple[tuple[str, str], ...]
# What is sent in a stretch of time: of a gauge its value, of others what they grow in each interval.
Feed = dict[tuple[str, Labels], list[float]]


@dataclass(frozen=True)
class Level:
    """A query whose answer is to move about `value`."""

    query: Query
    value: float
    comparison: Comparison = ">"


def levels_of(alert: Alert) -> list[Level]:
    """The thresholds of an alert."""
    return [Level(c.query, c.threshold, c.comparison) for c in alert.conditions]


@dataclass
class _Life:
    """A process group of one host: from when to when it lives, and under which name it sends."""

    instance: str
    begin: float
    end: float
    phase: float
    weight: float
    rows: dict[tuple[str, Labels], list[float]] = field(default_factory=dict)


def service(
    rng: Random, levels: list[Level], seconds: float, *, step: float, phases: tuple[float, ...]
) -> Recorded:
    """The points of one service. A host sends every `step` seconds, at one of `phases` in it.

    Of the points some are missing, alone or up to a silence of ten minutes; hosts restart, under the
    same or a new name, after a short or a long time; one in three goes for good.
    """
    recorded = Recorded()
    stretches = list(_stretches(rng, levels, seconds))
    known = dict.fromkeys(key for _, feed in stretches for key in feed)
    lives = [
        life for host in range(rng.randint(1, 4)) for life in _lives(rng, host, seconds, phases)
    ]
    for life in lives:
        for name, labels in known:
            if _metric(name).closed and _metric(name).type != "gauge":
                life.rows[name, labels] = [0.0] * _width(_metric(name))
        silent_until = 0.0
        for number in range(int(life.begin // step), int(life.end // step)):
            time = number * step + life.phase
            feed = next(feed for begin, feed in reversed(stretches) if begin <= time)
            _advance(rng, life, feed)
            if rng.random() < 0.01:
                silent_until = time + rng.choice((step, 60, 200, 280, 295, 320, 600))
            if time >= silent_until and rng.random() > 0.02:
                for (name, labels), row in life.rows.items():
                    recorded.add(name, time, tuple(row), **dict(labels), instance=life.instance)
    return recorded


def _lives(rng: Random, host: int, seconds: float, phases: tuple[float, ...]) -> Iterator[_Life]:
    begin = rng.choice((0.0, 0.0, rng.uniform(0, seconds / 2)))
    end = rng.choice((seconds, seconds, rng.uniform(begin, seconds)))
    phase, weight, name = rng.choice(phases), rng.uniform(0.2, 1.0), f"host{host}"
    number = 0
    while begin < end - 60:
        until = min(
            end, begin + rng.choice((300, 900, 1800, 3600, seconds)) * rng.uniform(0.5, 1.5)
        )
        yield _Life(f"{name}-{number}", begin, until, phase, weight)
        begin = until + rng.choice((15, 15, 30, 90, 250, 400, 1500))
        number += rng.random() < 0.4


def _advance(rng: Random, life: _Life, feed: Feed) -> None:
    """One interval: counters grow by whole numbers, gauges are set."""
    for (name, labels), row in feed.items():
        metric = _metric(name)
        if metric.type == "gauge":
            share = life.weight if metric.hosts in ("sum", "max", "by host") else 1.0
            life.rows[name, labels] = [round(row[0] * share * rng.uniform(0.93, 1.07), 3)]
            continue
        grown = [int(life.weight * value + rng.random()) if value else 0 for value in row[1:]]
        if metric.type == "histogram":
            grown = [_sum(metric, grown, row[0]), *grown]
        else:
            grown = [int(life.weight * row[0] + rng.random())] if row[0] else [0]
        if any(grown) or (name, labels) in life.rows:
            before = life.rows.get((name, labels), [0.0] * len(row))
            life.rows[name, labels] = [a + b for a, b in zip(before, grown, strict=True)]


def _sum(metric: Metric, counts: list[int], mean: float) -> int:
    if mean:
        return int(sum(counts) * mean)
    bounds = (*metric.buckets, 2 * metric.buckets[-1])
    return int(sum(count * bound * 0.75 for count, bound in zip(counts, bounds, strict=True)))


def _stretches(rng: Random, levels: list[Level], seconds: float) -> Iterator[tuple[float, Feed]]:
    begin = -1.0
    while begin < seconds:
        feed: Feed = {}
        for level in levels:
            for variant in range(rng.choice((1, 1, 2))):
                _feed(rng, feed, level, variant)
        yield begin, feed
        begin += rng.choice((240, 600, 1200, seconds / 4, seconds / 2)) * rng.uniform(0.5, 1.5)


def _feed(rng: Random, feed: Feed, level: Level, variant: int) -> None:
    """Adds what takes the query of `level` to somewhere around it, or far from it, or to nothing."""
    query, value = level.query, _moved(rng, level)
    if isinstance(query, Peak):
        query = query.of
    # The little that a guard is for, too.
    traffic = rng.choice((1.0, 1.0, 1.0, 0.1, 0.001, 0.0))
    if isinstance(query, Growth):
        for series in query.of:
            seconds = query.window if query.per is None else query.per
            feed[_key(series, variant)] = [value * 15.0 / seconds * rng.choice((0.5, 1.0, 1.0))]
    elif isinstance(query, Share):
        others = [series for series in query.whole if series != query.part]
        share = min(value, 100.0)
        feed[_key(query.part, variant)] = [share * traffic]
        feed[_key(others[0], variant)] = [(100.0 - share) * traffic]
    elif isinstance(query, Last):
        feed[_key(query.of, variant)] = [value / query.scale]
    elif isinstance(query, Present):
        if rng.random() < 0.5:
            feed[_key(query.of, variant)] = [20.0]
    elif isinstance(query, Quantile):
        feed[_key(query.of, variant)] = _observed(rng, query, level.value, traffic)
    elif isinstance(query, Mean):
        row = [rng.uniform(50, 200), 40.0 * traffic]
        feed[_key(query.of, variant)] = row + [0.0] * (_width(_metric(query.of.metric)) - 2)
    elif isinstance(query, Quotient) and isinstance(query.dividend, Last):
        assert isinstance(query.divisor, Last)
        most = rng.choice((0.0, 10.0, 20.0, 20.0, 20.0))
        feed[_key(query.dividend.of, variant)] = [value / query.scale * most]
        feed[_key(query.divisor.of, variant)] = [most]
    elif isinstance(query, Quotient):
        (series,) = set(series_of(query.dividend))
        mean = rng.choice((100.0, 100.0, 300.0, 900.0))
        row = [mean, 40.0 * (traffic if traffic > 0.1 else 1.0)]
        feed[_key(series, variant)] = row + [0.0] * (_width(_metric(series.metric)) - 2)


def _moved(rng: Random, level: Level) -> float:
    if level.comparison == "==":
        return level.value + rng.choice((0, 0, 1))
    if not level.value:
        return rng.choice((0.0, 0.0, 0.3, 3.0, 50.0))
    return (
        level.value * rng.choice((0.0, 0.3, 0.8, 1.0, 1.0, 1.3, 2.0, 5.0)) * rng.uniform(0.9, 1.1)
    )


def _observed(rng: Random, query: Quantile, value: float, traffic: float) -> list[float]:
    """A row in which about 1 - q of the observations are beyond `value`."""
    metric = _metric(query.of.metric)
    row = [0.0] * _width(metric)
    beyond = rng.choice((0.0, 0.6, 0.9, 1.0, 1.1, 1.4, 8.0)) * (1 - query.q)
    place = 1 + sum(bound <= value for bound in metric.buckets)
    for share, places in ((1 - beyond, range(1, place)), (beyond, range(place, len(row)))):
        for chosen in rng.sample(list(places), min(3, len(places))):
            row[chosen] += 100 * traffic * max(share, 0.0) / min(3, len(places))
    return row


def _key(series: Series, variant: int) -> tuple[str, Labels]:
    labels = {}
    for label in _metric(series.metric).labels:
        values = label.values or (f"some{variant}",)
        labels[label.name] = values[variant % len(values)]
    if "status_code" in labels:
        labels["status_code"] = ("200", "404")[variant % 2]
    for where in series.where:
        labels[where.label] = where.value + ("03" if where.prefix else "")
    if "from_tier" in labels and not series.where:
        labels["to_tier"] = "PRO"
    return series.metric, tuple(sorted(labels.items()))


def _width(metric: Metric) -> int:
    return 1 if metric.type != "histogram" else 2 + len(metric.buckets)


def _metric(name: str) -> Metric:
    return BY_NAME.get(name) or PIPELINE[name]
