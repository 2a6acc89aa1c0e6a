"""What a fleet of hosts sends to a gateway: the contract's metrics, encoded once an interval."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import METRICS

POINTS = 2_000  # of each host
CUMULATIVE, DELTA = 2, 1
# As an application has them, 6 to 44 characters long, with four statuses each: most of the points.
RESOURCES = ("users", "ledgers", "entries", "forecasts", "scenarios", "invoices", "reconciliations")
ACTIONS = ("", "export", "history", "approve", "attachments", "comments")
ROUTES = [
    f"{prefix}/{resource}{item}{'/' * bool(action)}{action}"
    for prefix in ("", "/api/v1", "/admin")
    for resource in RESOURCES
    for item in ("", "/<int:id>")
    for action in ACTIONS
]
# Closed sets apart, the values that a label has.
OPEN = {
    "route": ROUTES,
    "method": ["GET"],
    "status_code": ["200", "302", "404", "500"],
}
FEW = [f"value-{letter}" for letter in "abcd"]
_PLACE = "host-00000000"  # as long as every instance's name, so that one encoding serves all


class Fleet:
    """Hosts with 2,000 series each; `interval` gives what each of them pushes next.

    Totals grow from interval to interval, in a third of the series: the rest is quiet.
    """

    def __init__(self, hosts: int, *, delta: bool = False) -> None:
        self.hosts = hosts
        self.delta = delta
        # Whole numbers, so that sums are exact; fixed, so that every gateway is sent the same.
        self._random = random.Random(1)
        self._started = time.time_ns()
        self._series = list(_series())
        self._totals = [[0] * (len(metric.buckets) + 1) for metric, _ in self._series]

    @property
    def points(self) -> int:
        """How many points one interval has."""
        return self.hosts * len(self._series)

    def interval(self) -> list[bytes]:
        """One request of each host, encoded."""
        encoded = self._encoded()
        place = _PLACE.encode()
        names = (f"host-{number:08d}".encode() for number in range(self.hosts))
        return [encoded.replace(place, name) for name in names]

    def _encoded(self) -> bytes:
        request = ExportMetricsServiceRequest()
        resource_metrics = request.resource_metrics.add()
        resource = {
            "service.name": "accubooks",
            "service.instance.id": _PLACE,
            "host.name": _PLACE,
            "telemetry.sdk.language": "python",
        }
        for name, value in resource.items():
            resource_metrics.resource.attributes.add(key=name).value.string_value = value
        scope = resource_metrics.scope_metrics.add()
        scope.scope.name = "otel_accubooks"
        now, added = time.time_ns(), None
        for (metric, labels), totals in zip(self._series, self._totals, strict=True):
            if added is None or added.name != metric.name:
                added = scope.metrics.add(name=metric.name, unit=metric.unit)
            point = self._point(added, metric, totals)
            point.start_time_unix_nano, point.time_unix_nano = self._started, now
            for label, value in labels.items():
                point.attributes.add(key=label).value.string_value = value
        if self.delta:
            self._started = now
        return request.SerializeToString()

    def _point(self, added, metric: Metric, totals: list[int]):
        temporality = DELTA if self.delta else CUMULATIVE
        if self.delta:
            totals[:] = [0] * len(totals)
        if self._random.random() < 1 / 3:
            for _ in range(3):
                totals[self._random.randrange(len(totals))] += self._random.randrange(1, 40)
        if metric.type == "gauge":
            return added.gauge.data_points.add(as_double=self._random.randrange(100))
        if metric.type == "counter":
            added.sum.is_monotonic = True
            added.sum.aggregation_temporality = temporality
            return added.sum.data_points.add(as_int=totals[0])
        added.histogram.aggregation_temporality = temporality
        return added.histogram.data_points.add(
            count=sum(totals), sum=sum(totals) * 12.5,
            bucket_counts=totals, explicit_bounds=metric.buckets,
        )  # fmt: skip


def send(port: int, requests: list[bytes]) -> None:
    """Pushes them one after the other by OTLP/HTTP; raises RuntimeError if one is not accepted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for request in requests:
            headers = {"Content-Type": "application/x-protobuf"}
            connection.request("POST", "/v1/metrics", body=request, headers=headers)
            with connection.getresponse() as answer:
                body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"the gateway answered {answer.status}: {body[:200]!r}")
    finally:
        connection.close()


def _series() -> Iterator[tuple[Metric, dict[str, str]]]:
    """2,000 series of the contract's metrics: the HTTP metrics by route and status, and the rest."""
    left = POINTS
    metrics = [metric for metric in METRICS if metric.group not in ("unsent", "pipeline")]
    metrics.sort(key=lambda metric: "route" in [label.name for label in metric.labels])
    for metric in metrics:
        combinations: list[dict[str, str]] = [{}]
        for label in metric.labels:
            values = label.values or OPEN.get(label.name, FEW)
            combinations = [{**one, label.name: value} for one in combinations for value in values]
        for labels in combinations[:left]:
            yield metric, labels
        left -= len(combinations[:left])
