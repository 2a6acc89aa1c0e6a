"""From points of the recorder to the data points of the OpenTelemetry SDK."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.sdk.metrics import Exemplar as SDKExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_accubooks.recorder.exemplars import Exemplar
from otel_accubooks.recorder.totals import Point

SCOPE = "otel_accubooks"


def metrics_data(
    points: Iterable[Point],
    resource: Resource,
    now: float,
    *,
    delta: bool = False,
    units: bool = True,
) -> MetricsData:
    """The points as one OTLP message's worth of data; `now` is Unix seconds.

    Without `units`, nothing makes a Prometheus exporter add suffixes to the names.
    """
    temporality = AggregationTemporality.DELTA if delta else AggregationTemporality.CUMULATIVE
    metrics = [
        _metric(of_metric, round(now * 1e9), temporality, units) for of_metric in in_order(points)
    ]
    scope = ScopeMetrics(InstrumentationScope(SCOPE), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def in_order(points: Iterable[Point]) -> list[list[Point]]:
    """The points of each metric, by its name; each metric's as they came."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.metric.name, []).append(point)
    return [found[name] for name in sorted(found)]


def _metric(
    points: list[Point], now: int, temporality: AggregationTemporality, units: bool
) -> Metric:
    metric = points[0].metric
    data: Sum | Histogram | Gauge
    if metric.type == "counter":
        data = Sum([_number(p, now) for p in points], temporality, is_monotonic=True)
    elif metric.type == "histogram":
        data = Histogram([_histogram(p, now) for p in points], temporality)
    else:
        data = Gauge([_gauge(p, now) for p in points])
    return Metric(metric.name, metric.description, metric.unit if units else "", data)


def _number(point: Point, now: int) -> NumberDataPoint:
    return NumberDataPoint(point.attributes, round(point.start * 1e9), now, round(point.value))


def _gauge(point: Point, now: int) -> NumberDataPoint:
    no_start: Any = None  # optional on the wire, and without a meaning for a gauge
    return NumberDataPoint(point.attributes, no_start, now, float(point.value))


def _histogram(point: Point, now: int) -> HistogramDataPoint:
    counts = [round(count) for count in point.counts]
    return HistogramDataPoint(
        point.attributes,
        round(point.start * 1e9),
        now,
        count=sum(counts),
        sum=point.total,
        bucket_counts=counts,
        explicit_bounds=list(point.metric.buckets),
        # Optional on the wire; extremes of a life-long histogram would say nothing.
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
        exemplars=[_exemplar(e) for e in point.exemplars if e is not None],
    )


def _exemplar(found: Exemplar) -> SDKExemplar:
    return SDKExemplar(
        {}, found.value, round(found.time * 1e9), int(found.span_id, 16), int(found.trace_id, 16)
    )
