"""The application runs on while its gateway comes late, restarts, or changes its backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import Service, eventually

from otel_accubooks.servers.exposition import exposed
from otel_accubooks.stack.binaries import find_collector, find_prometheus3
from otel_accubooks.stack.collector import Collector, GatewayPorts
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.prometheus import Prometheus

ROUTE = "/hello/<name>"


class Backends:
    """A Prometheus 3, a Datadog intake, and gateways into them on always the same ports."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.prometheus = stack.enter_context(Prometheus(folder / "prom", find_prometheus3()))
        self.datadog = stack.enter_context(DatadogIntake())
        self.ports = GatewayPorts()
        self._folder = folder / "gateway"

    def gateway(self, *backends: str) -> Collector:
        env = {
            "PROMETHEUS_URL": self.prometheus.url,
            "DD_URL": self.datadog.url,
            "DD_API_KEY": "0" * 32,
            "DD_HOSTNAME": "tested",
        }
        return Collector(self._folder, find_collector(), list(backends), ports=self.ports, env=env)

    def in_prometheus(self) -> float:
        found = self.prometheus.query(f'sum(http_requests_total{{route="{ROUTE}"}})')
        return sum(value for _, value in found)

    def in_datadog(self) -> float:
        return self.datadog.value("http_requests_total", route=ROUTE)

    def all_sent(self) -> bool:
        """True once the gateway knows that its backends have everything: else it sends some again."""
        page = exposed(f"http://127.0.0.1:{self.ports.metrics}/metrics")
        return all(queue.value == 0 for queue in page["otelcol_exporter_queue_size"])

    def overwritten(self) -> int:
        """Points that Datadog would have lost, since it keeps one for each second."""
        return sum(series.overwritten for series in self.datadog.series("http_requests_total"))


@pytest.fixture
def backends(tmp_path: Path, service: Service) -> Iterator[Backends]:
    with ExitStack() as stack:
        made = Backends(tmp_path, stack)
        service.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{made.ports.otlp_http}"
        yield made


@pytest.fixture
def work(service: Service) -> Callable[[int], None]:
    def requests(number: int) -> None:
        for _ in range(number):
            service.get("/hello/x").raise_for_status()

    return requests


def test_both_backends_have_every_request(
    service: Service, backends: Backends, work: Callable[[int], None]
) -> None:
    """N requests are N in Prometheus and N in Datadog, none twice, naming both files."""
    with backends.gateway("prometheus", "datadog"), service.gunicorn("-w", "2"):
        work(120)
        assert eventually(lambda: backends.in_prometheus() == backends.in_datadog() == 120)
    assert backends.overwritten() == 0


def test_a_gateway_that_comes_late_misses_nothing(
    service: Service, backends: Backends, work: Callable[[int], None]
) -> None:
    """Requests that were made before there was a gateway are in both backends all the same."""
    with service.gunicorn("-w", "2"):
        work(50)
        assert eventually(lambda: "metrics are not arriving" in service.log())
        with backends.gateway("prometheus", "datadog"):
            work(30)
            assert eventually(lambda: backends.in_prometheus() == backends.in_datadog() == 80)


def test_swapping_the_backend_file_loses_nothing(
    service: Service, backends: Backends, work: Callable[[int], None]
) -> None:
    """Prometheus, then both, then Datadog alone: each counts right for as long as it is named."""
    with service.gunicorn("-w", "2"):
        with backends.gateway("prometheus"):
            work(40)
            assert eventually(lambda: backends.in_prometheus() == 40)
        work(10)  # while there is no gateway
        with backends.gateway("prometheus", "datadog"):
            work(25)
            assert eventually(lambda: backends.in_prometheus() == 75)
            assert eventually(lambda: backends.in_datadog() == 35)
        with backends.gateway("datadog"):
            work(15)
            assert eventually(lambda: backends.in_datadog() == 50)
    assert backends.in_prometheus() == 75
    assert backends.overwritten() == 0


def test_a_gateway_that_is_killed_and_restarted_between_two_exports(
    service: Service, backends: Backends, work: Callable[[int], None]
) -> None:
    """The exporter notices that its connection was closed: not even one interval is lost."""
    service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "3600000"  # exports are those that are asked for
    with service.gunicorn("-w", "2"):
        for so_far in (20, 40, 60):
            with ExitStack() as killed:
                gateway = backends.gateway("prometheus", "datadog").start()
                killed.callback(gateway.kill)
                work(20)
                assert eventually(service.send)
                there = (backends.in_prometheus, backends.in_datadog)
                reached = eventually(lambda: all(read() == so_far for read in there))  # noqa: B023
                assert reached, [read() for read in there]
                # What it was sending when it was killed would come twice: see docs/decisions/0024.
                assert eventually(backends.all_sent)


def test_an_exporter_that_never_reached_a_gateway_is_replaced(
    service: Service, backends: Backends, work: Callable[[int], None]
) -> None:
    """Its successor knows that nothing was received: what was counted before is in both backends."""
    from test_life import exporters

    with service.gunicorn("-w", "2"):
        work(40)
        assert eventually(lambda: "metrics are not arriving" in service.log())
        for process in exporters(service):
            process.kill()
        with backends.gateway("prometheus", "datadog"):
            work(10)
            assert eventually(lambda: backends.in_prometheus() == backends.in_datadog() == 50)


def test_what_an_ended_service_left_is_in_both_backends(
    service: Service, backends: Backends, work: Callable[[int], None]
) -> None:
    """Everything is killed before there ever was a gateway; the next start tells it all."""
    from test_life import exporters

    server = service.gunicorn("-w", "2").start()
    work(40)
    assert eventually(lambda: "metrics are not arriving" in service.log())
    server.kill()
    for process in exporters(service):
        process.kill()
    with backends.gateway("prometheus", "datadog"), service.gunicorn("-w", "2"):
        work(10)
        assert eventually(lambda: backends.in_prometheus() == backends.in_datadog() == 50)
