"""Every way into a real Prometheus: what arrives is the contract, names and numbers alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.stack.collector import Collector, GatewayPorts
from otel_accubooks.stack.prometheus import Prometheus
from tests.collector.otlp_application import Application
from tests.collector.waiting import eventually

Series = dict[tuple[tuple[str, str], ...], float]
IDENTITY = {"job": "shop/accubooks", "instance": "host-1"}
GatewayInto = tuple[Collector, Prometheus]


@pytest.fixture(params=["prometheus", "prometheus-remote-write", "prometheus-scrape"])
def path(
    request: pytest.FixtureRequest,
    start_gateway: Callable[..., Collector],
    start_prometheus: Callable[..., Prometheus],
    prometheus2_binary: Path,
    prometheus3_binary: Path,
    tmp_path: Path,
) -> GatewayInto:
    """A gateway and the Prometheus behind it: 3 for OTLP, Debian's 2.42 for the others."""
    ports = GatewayPorts()
    binary = prometheus3_binary if request.param == "prometheus" else prometheus2_binary
    targets = {"gateway-export": [f"127.0.0.1:{ports.prometheus_scrape}"]}
    prometheus = start_prometheus(
        binary, scrape_interval="1s",
        targets=targets if request.param == "prometheus-scrape" else {},
    )  # fmt: skip
    quick = tmp_path / "quick.yaml"
    quick.write_text("receivers: {statsd: {aggregation_interval: 1s}}")
    gateway = start_gateway(
        [request.param], env=addresses(prometheus), ports=ports, options=[quick]
    )
    return gateway, prometheus


def addresses(prometheus: Prometheus) -> dict[str, str]:
    return {
        "PROMETHEUS_URL": prometheus.url,
        "PROMETHEUS_REMOTE_WRITE_URL": f"{prometheus.url}/api/v1/write",
    }


def test_the_contract_arrives_with_its_own_names_and_values(path: GatewayInto) -> None:
    """Names, labels, buckets and values in Prometheus are those that the application sent."""
    gateway, prometheus = path
    request, expected = whole_contract()
    httpx.post(
        f"{gateway.otlp_url}/v1/metrics",
        content=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
    ).raise_for_status()
    query = '{job="shop/accubooks", __name__!="target_info"}'
    eventually(lambda: as_series(prometheus, query), expected)


def test_other_resource_attributes_are_kept_beside_the_series(path: GatewayInto) -> None:
    """What else is known of the sender is in target_info, and no label of every series."""
    gateway, prometheus = path
    request, _ = whole_contract()
    httpx.post(
        f"{gateway.otlp_url}/v1/metrics",
        content=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
    ).raise_for_status()
    info = {**IDENTITY, "__name__": "target_info", "host_name": "app-host"}
    eventually(lambda: prometheus.query('target_info{job="shop/accubooks"}'), [(info, 1.0)])


def test_statsd_counts_add_up_in_prometheus(path: GatewayInto) -> None:
    """DogStatsD increments, which are deltas, arrive as a counter that only grows."""
    import socket

    gateway, prometheus = path
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(2):
            for _ in range(20):
                sender.sendto(
                    b"legacy_orders_total:2|c|#shop:north", ("127.0.0.1", gateway.ports.statsd)
                )
            time.sleep(2)  # longer than one aggregation, so that two deltas are added up
    query = 'legacy_orders_total{shop="north", job="statsd"}'
    eventually(lambda: [value for _, value in prometheus.query(query)], [80.0])


def test_deltas_of_an_application_add_up_in_prometheus(path: GatewayInto) -> None:
    """An application that sends delta, for Datadog's sake, is right in Prometheus too."""
    gateway, prometheus = path
    application = Application(delta=True)
    for _ in range(3):
        application.count("http_requests_total", 7, route="/ledger")
        application.push(gateway.otlp_url)
    query = 'http_requests_total{job="accubooks", route="/ledger"}'
    eventually(lambda: [value for _, value in prometheus.query(query)], [21.0])


def whole_contract() -> tuple[ExportMetricsServiceRequest, Series]:
    """One point of every metric of the contract, and the series that Prometheus must make of it."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    identity = {
        "service.namespace": "shop",
        "service.name": "accubooks",
        "service.instance.id": "host-1",
        "host.name": "app-host",
    }
    for key, text in identity.items():
        resource.resource.attributes.add(key=key).value.string_value = text
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "otel_accubooks", "1.0"
    expected: Series = {}
    now = time.time_ns()
    for number, metric in enumerate(METRICS, start=1):
        labels = {name: f"{name}-{number}" for name in metric.label_names}
        sent = scope.metrics.add(name=metric.name, unit=metric.unit, description=metric.description)
        if metric.type == "histogram":
            sent.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
            point: Any = sent.histogram.data_points.add(
                explicit_bounds=metric.buckets, count=number * (len(metric.buckets) + 1), sum=0.5
            )
            point.bucket_counts.extend([number] * (len(metric.buckets) + 1))
            _expect_histogram(expected, metric.name, labels, metric.buckets, number)
        elif metric.type == "counter":
            sent.sum.is_monotonic = True
            sent.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
            point = sent.sum.data_points.add(as_double=number + 0.25)
            expected[_key(metric.name, labels)] = number + 0.25
        else:
            point = sent.gauge.data_points.add(as_double=-number)
            expected[_key(metric.name, labels)] = -number
        point.start_time_unix_nano, point.time_unix_nano = now - 1_000_000_000, now
        for key, text in labels.items():
            point.attributes.add(key=key).value.string_value = text
    return request, expected


def _expect_histogram(
    expected: Series, name: str, labels: dict[str, str], bounds: tuple[float, ...], each: int
) -> None:
    for place, bound in enumerate([*bounds, float("inf")], start=1):
        key = _key(f"{name}_bucket", {**labels, "le": str(bound)})
        expected[key] = each * place
    expected[_key(f"{name}_count", labels)] = each * (len(bounds) + 1)
    expected[_key(f"{name}_sum", labels)] = 0.5


def _key(name: str, labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    # `le` is a number, which versions of Prometheus write differently: 10, 10.0, +Inf.
    shown = {**labels, **IDENTITY, "__name__": name}
    if "le" in shown:
        shown["le"] = str(float(shown["le"]))
    return tuple(sorted(shown.items()))


def as_series(prometheus: Prometheus, query: str) -> Series:
    found: Series = {}
    for labels, value in prometheus.query(query):
        name = labels.pop("__name__")
        assert {key: labels.get(key) for key in IDENTITY} == IDENTITY
        found[_key(name, labels)] = value
    return found
