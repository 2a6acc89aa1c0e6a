"""What survives when Prometheus is away, the gateway is killed, or its backend is swapped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.prometheus import Prometheus
from tests.collector.otlp_application import Application
from tests.collector.waiting import eventually

NAME = "http_requests_total"
HOUR = 3600 * 10**9  # in the nanoseconds of OTLP
Start = Callable[..., Collector]


def total(prometheus: Prometheus) -> list[float]:
    return [value for _, value in prometheus.query(NAME)]


def history(prometheus: Prometheus) -> list[float]:
    """How many points Prometheus has stored of each series."""
    return [value for _, value in prometheus.query(f"count_over_time({NAME}[6h])")]


def push_at(gateway: Collector, request: ExportMetricsServiceRequest, hours: int) -> None:
    """Sends the counters of `request` as if it were so many hours later, or, below 0, earlier."""
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.sum.data_points:
            point.start_time_unix_nano += hours * HOUR
            point.time_unix_nano += hours * HOUR
    httpx.post(
        f"{gateway.otlp_url}/v1/metrics",
        content=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        trust_env=False,
    ).raise_for_status()


def requests_are_served(application: Application, gateway: Collector, pushes: int) -> None:
    for _ in range(pushes):
        application.count(NAME, 3, route="/ledger")
        application.push(gateway.otlp_url)
        time.sleep(0.1)


@pytest.mark.parametrize("end", [Collector.kill, Collector.stop])
def test_a_gateway_that_ends_during_an_outage_of_prometheus_loses_nothing(
    start_gateway: Start, prometheus3: Prometheus, end: Callable[[Collector], None]
) -> None:
    """Prometheus 3 has every total and every point in between, although both were down."""
    application, settings = Application(), {"PROMETHEUS_URL": prometheus3.url}
    gateway = start_gateway(["prometheus"], env=settings)
    requests_are_served(application, gateway, 5)
    eventually(lambda: history(prometheus3), [5.0])
    prometheus3.kill()
    requests_are_served(application, gateway, 10)
    end(gateway)
    gateway.start()
    requests_are_served(application, gateway, 5)
    prometheus3.start()
    eventually(lambda: total(prometheus3), [60.0])
    eventually(lambda: history(prometheus3), [20.0])


def test_a_gateway_killed_again_and_again_loses_nothing(
    start_gateway: Start, prometheus3: Prometheus
) -> None:
    """What was acknowledged to the application is on disk, and goes out with the next start."""
    application, settings = Application(), {"PROMETHEUS_URL": prometheus3.url}
    gateway = start_gateway(["prometheus"], env=settings)
    for _ in range(4):
        requests_are_served(application, gateway, 2)
        gateway.kill()
        gateway.start()
    eventually(lambda: total(prometheus3), [24.0])
    eventually(lambda: history(prometheus3), [8.0])


def test_what_was_queued_for_hours_is_taken(start_gateway: Start, prometheus3: Prometheus) -> None:
    """Points of five hours ago find their place, although Prometheus has newer ones already."""
    application = Application()
    application.count(NAME, 1, route="/ledger")
    old = application.request()
    application.count(NAME, 1, route="/ledger")
    gateway = start_gateway(["prometheus"], env={"PROMETHEUS_URL": prometheus3.url})
    application.push(gateway.otlp_url)
    eventually(lambda: total(prometheus3), [2.0])
    push_at(gateway, old, -5)
    eventually(lambda: history(prometheus3), [2.0])
    assert total(prometheus3) == [2.0]


@pytest.fixture(
    params=[
        ("prometheus", "PROMETHEUS_URL", ""),
        ("prometheus-remote-write", "PROMETHEUS_REMOTE_WRITE_URL", "/api/v1/write"),
        ("prometheus-standby", "PROMETHEUS_STANDBY_URL", ""),
    ],
    ids=lambda way: way[0],
)
def way(start_gateway: Start, request: pytest.FixtureRequest) -> tuple[Collector, Prometheus]:
    """A gateway with each of the files that lead to Prometheus, and the one where it leads."""
    backend, variable, path = request.param
    version = "prometheus3" if backend == "prometheus" else "prometheus2"
    prometheus: Prometheus = request.getfixturevalue(version)
    return start_gateway([backend], env={variable: f"{prometheus.url}{path}"}), prometheus


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_is_wrong_holds_up_nobody_else(
    way: tuple[Collector, Prometheus], hours: int
) -> None:
    """What Prometheus cannot take for its time is left out; before it and after it all arrives."""
    gateway, prometheus = way
    application, wrong = Application(), Application("with-a-wrong-clock")
    wrong.count("cache_hits_total", 1)
    requests_are_served(application, gateway, 3)
    push_at(gateway, wrong.request(), hours)
    requests_are_served(application, gateway, 3)
    eventually(lambda: total(prometheus), [18.0])
    eventually(lambda: history(prometheus), [6.0])
    assert prometheus.query("last_over_time(cache_hits_total[2d] offset -32h)") == []
    told = httpx.get(f"http://127.0.0.1:{gateway.ports.metrics}/metrics", trust_env=False).text
    assert re.search(r"^otelcol_processor_filter_datapoints_filtered(_total)?\{.*\} 1$", told, re.M)


def test_times_at_the_edge(way: tuple[Collector, Prometheus]) -> None:
    """From 23 hours ago to 5 minutes ahead points are taken, and no other ones, however far."""
    gateway, prometheus = way
    now, minute = time.time_ns(), HOUR // 60
    taken = {"old": now - 23 * HOUR + minute, "present": now, "ahead": now + 4 * minute}
    left_out = {
        "too old": now - 23 * HOUR - minute,
        "too far ahead": now + 6 * minute,
        "without a time": 0,
        "the last of times": 2**64 - 1,
        "as a signed number": 2**63,
    }
    for route, at in (left_out | taken).items():
        application = Application()
        application.count(NAME, 1, route=route)
        pushed = application.request()
        point = pushed.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
        point.start_time_unix_nano, point.time_unix_nano = min(at, now - 24 * HOUR), at
        push_at(gateway, pushed, 0)
    asked = f"last_over_time({NAME}[26h] offset -1h)"
    eventually(lambda: {labels["route"] for labels, _ in prometheus.query(asked)}, set(taken))
    told = httpx.get(f"http://127.0.0.1:{gateway.ports.metrics}/metrics", trust_env=False).text
    counted = re.findall(r"^otelcol_processor_filter_datapoints_filtered\S* (\d+)$", told, re.M)
    assert counted == [str(len(left_out))]


def test_remote_write_takes_what_is_old_but_not_too_old(
    start_gateway: Start, prometheus2: Prometheus
) -> None:
    """What another collector has kept during an outage of hours finds its place."""
    application = Application()
    application.count(NAME, 1, route="/ledger")
    old = application.request()
    application.count(NAME, 1, route="/ledger")
    url = f"{prometheus2.url}/api/v1/write"
    gateway = start_gateway(["prometheus-remote-write"], env={"PROMETHEUS_REMOTE_WRITE_URL": url})
    application.push(gateway.otlp_url)
    eventually(lambda: total(prometheus2), [2.0])
    push_at(gateway, old, -22)
    eventually(lambda: [v for _, v in prometheus2.query(f"count_over_time({NAME}[1d])")], [2.0])


def test_remote_write_bridges_an_outage(start_gateway: Start, prometheus2: Prometheus) -> None:
    """Debian's Prometheus, away for a while, gets every point that was made meanwhile, in order."""
    application = Application()
    url = f"{prometheus2.url}/api/v1/write"
    gateway = start_gateway(["prometheus-remote-write"], env={"PROMETHEUS_REMOTE_WRITE_URL": url})
    requests_are_served(application, gateway, 3)
    eventually(lambda: history(prometheus2), [3.0])
    prometheus2.kill()
    requests_are_served(application, gateway, 10)
    prometheus2.start()
    requests_are_served(application, gateway, 2)
    eventually(lambda: total(prometheus2), [45.0])
    eventually(lambda: history(prometheus2), [15.0])


def test_a_killed_gateway_costs_remote_write_history_but_no_total(
    start_gateway: Start, prometheus2: Prometheus
) -> None:
    """With the queue in memory, the next push after a kill still brings the whole total."""
    application = Application()
    url = f"{prometheus2.url}/api/v1/write"
    gateway = start_gateway(["prometheus-remote-write"], env={"PROMETHEUS_REMOTE_WRITE_URL": url})
    prometheus2.kill()
    requests_are_served(application, gateway, 5)
    gateway.kill()
    gateway.start()
    prometheus2.start()
    requests_are_served(application, gateway, 1)
    eventually(lambda: total(prometheus2), [18.0])


def test_the_backend_is_swapped_by_naming_another_file(
    start_gateway: Start,
    start_prometheus: Callable[..., Prometheus],
    prometheus2_binary: Path,
    prometheus3_binary: Path,
) -> None:
    """The old backend has all until the restart, and the new one has the totals from there on."""
    old, new = start_prometheus(prometheus3_binary), start_prometheus(prometheus2_binary)
    settings = {
        "PROMETHEUS_URL": old.url,
        "PROMETHEUS_REMOTE_WRITE_URL": f"{new.url}/api/v1/write",
    }
    application = Application()
    gateway = start_gateway(["prometheus"], env=settings)
    requests_are_served(application, gateway, 4)
    gateway.stop()
    gateway = start_gateway(["prometheus-remote-write"], env=settings, ports=gateway.ports)
    requests_are_served(application, gateway, 3)
    eventually(lambda: total(new), [21.0])
    eventually(lambda: total(old), [12.0])


def test_two_backends_at_once_have_the_same_numbers(
    start_gateway: Start,
    start_prometheus: Callable[..., Prometheus],
    prometheus2_binary: Path,
    prometheus3_binary: Path,
) -> None:
    """Both files named: both have everything, and an outage of one is no concern of the other."""
    one, other = start_prometheus(prometheus3_binary), start_prometheus(prometheus2_binary)
    settings = {
        "PROMETHEUS_URL": one.url,
        "PROMETHEUS_REMOTE_WRITE_URL": f"{other.url}/api/v1/write",
    }
    application = Application()
    gateway = start_gateway(["prometheus", "prometheus-remote-write"], env=settings)
    one.kill()
    requests_are_served(application, gateway, 6)
    eventually(lambda: history(other), [6.0])
    one.start()
    eventually(lambda: history(one), [6.0])
    assert total(one) == total(other) == [18.0]
