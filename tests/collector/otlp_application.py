"""A stand-in for an application's exporter: known numbers, sent by OTLP when a test says so."""

from __future__ import annotations

import bisect
import time
from collections.abc import Sequence
from typing import Any

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

BOUNDS = (10.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
Labels = tuple[tuple[str, str], ...]


class Application:
    """Counters, histograms and gauges of one instance; each series begins when it is first used.

    With `delta`, `push` sends what came since the last push that was acknowledged.
    """

    def __init__(self, instance: str = "host-1", *, delta: bool = False) -> None:
        self.resource = {
            "service.name": "accubooks",
            "service.instance.id": instance,
            "host.name": "app-host",
        }
        self.delta = delta
        self.counters: dict[tuple[str, Labels], int] = {}
        self.gauges: dict[tuple[str, Labels], float] = {}
        self.values: dict[tuple[str, Labels], list[float]] = {}
        self._started: dict[tuple[str, Labels], int] = {}
        self._acknowledged: dict[tuple[str, Labels], int] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        key = self._key(name, labels)
        self.counters[key] = self.counters.get(key, 0) + amount

    def record(self, name: str, *values: float, **labels: str) -> None:
        self.values.setdefault(self._key(name, labels), []).extend(values)

    def set(self, name: str, value: float, **labels: str) -> None:
        self.gauges[self._key(name, labels)] = value

    def total(self, name: str) -> int:
        """What all counters of that name have counted so far."""
        return sum(count for (counter, _), count in self.counters.items() if counter == name)

    def push(self, endpoint: str) -> None:
        """Send everything as it is now. Raises httpx.HTTPError unless it is acknowledged."""
        httpx.post(
            f"{endpoint}/v1/metrics",
            content=self.request().SerializeToString(),
            headers={"Content-Type": "application/x-protobuf"},
            timeout=10,
            trust_env=False,
        ).raise_for_status()
        self._acknowledged = dict(self.counters)
        self._acknowledged |= {key: len(values) for key, values in self.values.items()}

    def request(self) -> ExportMetricsServiceRequest:
        """The next push."""
        request = ExportMetricsServiceRequest()
        resource_metrics = request.resource_metrics.add()
        for name, value in self.resource.items():
            resource_metrics.resource.attributes.add(key=name).value.string_value = value
        scope = resource_metrics.scope_metrics.add()
        scope.scope.name, scope.scope.version = "otel_accubooks", "1"
        temporality = AggregationTemporality.Value(
            f"AGGREGATION_TEMPORALITY_{'DELTA' if self.delta else 'CUMULATIVE'}"
        )
        now = time.time_ns()
        metrics: dict[str, Any] = {}
        for key, total in self.counters.items():
            metric = metrics.get(key[0]) or metrics.setdefault(
                key[0], scope.metrics.add(name=key[0])
            )
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = temporality
            point = metric.sum.data_points.add(as_int=total - self._before(key))
            self._stamp(point, key, now)
        for key, values in self.values.items():
            metric = metrics.get(key[0]) or metrics.setdefault(
                key[0], scope.metrics.add(name=key[0])
            )
            metric.histogram.aggregation_temporality = temporality
            point = metric.histogram.data_points.add(explicit_bounds=BOUNDS)
            _fill(point, values[self._before(key) :])
            self._stamp(point, key, now)
        for key, level in self.gauges.items():
            metric = metrics.get(key[0]) or metrics.setdefault(
                key[0], scope.metrics.add(name=key[0])
            )
            self._stamp(metric.gauge.data_points.add(as_double=level), key, now)
        return request

    def _key(self, name: str, labels: dict[str, str]) -> tuple[str, Labels]:
        key = (name, tuple(sorted(labels.items())))
        self._started.setdefault(key, time.time_ns())
        return key

    def _before(self, key: tuple[str, Labels]) -> int:
        return self._acknowledged.get(key, 0) if self.delta else 0

    def _stamp(self, point, key: tuple[str, Labels], now: int) -> None:
        point.start_time_unix_nano, point.time_unix_nano = self._started[key], now
        for name, value in key[1]:
            point.attributes.add(key=name).value.string_value = value


def _fill(point, values: Sequence[float]) -> None:
    buckets = [0] * (len(BOUNDS) + 1)
    for value in values:
        buckets[bisect.bisect_left(BOUNDS, value)] += 1
    point.count, point.sum = len(values), sum(values)
    point.bucket_counts.extend(buckets)
