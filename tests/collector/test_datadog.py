"""Through the gateway into Datadog's wire format: every count once, under the contract's names."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.datadog_intake import DatadogIntake
from tests.collector.otlp_application import Application

REQUESTS = "http_requests_total"
DURATION = "http_request_duration_ms"
# What the exporter says of itself.
OWN_METRICS = ("otel.datadog_exporter.", "datadog.otel.gateway")
# Datadog keeps one point for a second: tests of exact counts push in seconds of their own.
NEXT_SECOND = 1.05

Start = Callable[..., Collector]


@pytest.fixture
def intake() -> Iterator[DatadogIntake]:
    with DatadogIntake() as started:
        yield started


@pytest.fixture
def gateway(start_gateway: Start, intake: DatadogIntake) -> Collector:
    return start_gateway(["datadog"], env=settings(intake))


def settings(intake: DatadogIntake) -> dict[str, str]:
    return {"DD_URL": intake.url, "DD_API_KEY": "0" * 32, "DD_HOSTNAME": "gateway-host"}


def requests_are_served(
    application: Application, gateway: Collector, pushes: int, **labels: str
) -> None:
    """Four requests and two durations (30 and 300 ms) before each push."""
    for _ in range(pushes):
        application.count(REQUESTS, 4, **labels)
        application.record(DURATION, 30, 300, **labels)
        application.push(gateway.otlp_url)
        time.sleep(NEXT_SECOND)


def have_come(intake: DatadogIntake, application: Application) -> Callable[[object], bool]:
    """True once the intake has as much as the application counted; more than that stays visible."""
    durations = sum(len(values) for values in application.values.values())
    return lambda _: (
        intake.value(REQUESTS) >= application.total(REQUESTS)
        and intake.count_of(DURATION) >= durations
    )


def assert_exact(intake: DatadogIntake, application: Application) -> None:
    """Nothing is missing, nothing came twice, and no point overwrites another."""
    values = [value for values in application.values.values() for value in values]
    found = intake.distributions(DURATION)
    assert intake.value(REQUESTS) == application.total(REQUESTS)
    assert sum(sketch.count for sketch in found) == len(values)
    assert sum(sum(sketch.bins.values()) for sketch in found) == len(values)
    assert sum(sketch.sum for sketch in found) == pytest.approx(sum(values), rel=1e-12)
    assert [series.overwritten for series in intake.series(REQUESTS)] == [0] * len(
        intake.series(REQUESTS)
    )


def test_counts_and_histograms_arrive_exactly(gateway: Collector, intake: DatadogIntake) -> None:
    """Growing cumulative totals become counts and distributions that add up to the last of them."""
    application = Application()
    for number in range(1, 5):
        for route in ("/ledger", "/report/<int:year>"):
            application.count(REQUESTS, number * 7, route=route, status_code="200")
            application.record(DURATION, 0.5, 12.25 * number, 49_999, route=route)
        application.push(gateway.otlp_url)
        time.sleep(NEXT_SECOND)
    intake.wait_for(have_come(intake, application))
    assert_exact(intake, application)
    assert intake.value(REQUESTS, route="/report/<int:year>") == 70
    assert {series.type for series in intake.series(REQUESTS)} == {"count"}


def test_a_gauge_is_its_latest_value(gateway: Collector, intake: DatadogIntake) -> None:
    """Gauges arrive as gauges."""
    application = Application()
    for level in (3.5, 9, 4.25):
        application.set("db_active_connections", level, pool="main")
        application.push(gateway.otlp_url)
    intake.wait_for(lambda sink: sink.value("db_active_connections", pool="main") == 4.25)
    assert intake.series("db_active_connections")[0].type == "gauge"


def test_series_carry_the_instance_and_the_applications_host(
    gateway: Collector, intake: DatadogIntake
) -> None:
    """Two hosts of one service stay apart, although they count under the same labels."""
    for instance, amount in (("host-1", 3), ("host-2", 5)):
        application = Application(instance)
        application.count(REQUESTS, amount, route="/ledger")
        application.record(DURATION, amount, route="/ledger")
        application.push(gateway.otlp_url)
    intake.wait_for(lambda sink: sink.value(REQUESTS) == 8 and sink.count_of(DURATION) == 2)
    for instance, amount in (("host-1", 3), ("host-2", 5)):
        tags = {"service.instance.id": instance, "service": "accubooks", "host": "app-host"}
        assert intake.value(REQUESTS, route="/ledger", **tags) == amount
        assert intake.count_of(DURATION, route="/ledger", **tags) == 1


def test_contract_names_arrive_unchanged_and_alone(
    gateway: Collector, intake: DatadogIntake
) -> None:
    """Every metric of the contract is there under its own name, and none has a double beside it."""
    application = Application()
    for metric in METRICS:
        labels = dict.fromkeys(metric.label_names, "x")
        if metric.type == "counter":
            application.count(metric.name, **labels)
        elif metric.type == "histogram":
            application.record(metric.name, 1.0, **labels)
        else:
            application.set(metric.name, 1.0, **labels)
    application.push(gateway.otlp_url)

    def arrived(sink: DatadogIntake) -> dict[str, str]:
        rows = {str(row["metric"]): str(row["type"]) for row in sink.snapshot()}
        return {name: kind for name, kind in rows.items() if not name.startswith(OWN_METRICS)}

    kinds = {"counter": "count", "histogram": "distribution", "gauge": "gauge"}
    expected = {metric.name: kinds[metric.type] for metric in METRICS}
    intake.wait_for(lambda sink: arrived(sink).keys() >= expected.keys())
    assert arrived(intake) == expected


@pytest.mark.parametrize("mode", ["503", "429", "reset"])
def test_an_outage_of_datadog_loses_and_doubles_nothing(
    gateway: Collector, intake: DatadogIntake, mode: str
) -> None:
    """What is counted while Datadog refuses arrives afterwards, once."""
    application = Application()
    requests_are_served(application, gateway, 2)
    intake.wait_for(have_come(intake, application))
    intake.fail(mode)
    requests_are_served(application, gateway, 4)
    intake.fail("ok")
    requests_are_served(application, gateway, 2)
    intake.wait_for(have_come(intake, application), timeout=60)
    assert_exact(intake, application)


def test_a_gateway_killed_during_an_outage_loses_no_delta(
    gateway: Collector, intake: DatadogIntake
) -> None:
    """Deltas that were acknowledged to the application are on disk, and outlive a SIGKILL."""
    application = Application(delta=True)
    requests_are_served(application, gateway, 2)
    intake.wait_for(have_come(intake, application))
    intake.fail("503")
    requests_are_served(application, gateway, 5)
    gateway.kill()
    gateway.start()
    requests_are_served(application, gateway, 2)
    intake.fail("ok")
    intake.wait_for(have_come(intake, application), timeout=60)
    assert_exact(intake, application)


def test_a_killed_gateway_costs_cumulative_counts_one_push(
    gateway: Collector, intake: DatadogIntake
) -> None:
    """The first push after a kill is the new baseline: its interval is lost, and no other."""
    application = Application()
    requests_are_served(application, gateway, 3)
    intake.wait_for(have_come(intake, application))
    gateway.kill()
    gateway.start()
    requests_are_served(application, gateway, 4)
    intake.wait_for(lambda sink: sink.value(REQUESTS) == 24)
    assert intake.count_of(DURATION) == 12


def test_totals_from_before_the_gateway_are_not_counts_of_now(
    start_gateway: Start, intake: DatadogIntake
) -> None:
    """Of a series that is older than the gateway the growth counts; of a new one, everything."""
    application = Application()
    application.count(REQUESTS, 1000, route="/old")
    time.sleep(NEXT_SECOND)
    gateway = start_gateway(["datadog"], env=settings(intake))
    for _ in range(3):
        application.count(REQUESTS, 5, route="/old")
        application.count(REQUESTS, 5, route="/new")
        application.push(gateway.otlp_url)
        time.sleep(NEXT_SECOND)
    intake.wait_for(lambda sink: sink.value(REQUESTS, route="/new") >= 15)
    assert (intake.value(REQUESTS, route="/new"), intake.value(REQUESTS, route="/old")) == (15, 10)


def test_a_large_push_is_split_so_that_datadog_takes_each_part(
    start_gateway: Start, intake: DatadogIntake
) -> None:
    """Of 40,000 small series, which grow most on the way, no part is too large for Datadog."""
    long_name = "ip-10-120-130-140.eu-central-1.compute.internal.accubooks.example"
    gateway = start_gateway(["datadog"], env={**settings(intake), "DD_HOSTNAME": long_name})
    application = Application()
    application.resource = {"service.name": "a", "service.instance.id": "i"}
    for number in range(40_000):
        application.count(f"m{number}")
    application.push(gateway.otlp_url)
    series = ("POST", "/api/v2/series")
    intake.wait_for(
        lambda sink: (
            (*series, 413) in sink.requests
            or sum(found.value for found in sink.series() if found.type == "count") == 40_000
        ),
        timeout=60,
    )
    assert {key for key in intake.requests if key[:2] == series} == {(*series, 202)}


def test_dogstatsd_arrives_as_counts_gauges_and_distributions(
    start_gateway: Start, intake: DatadogIntake, tmp_path: Path
) -> None:
    """Packets of DogStatsD clients, sampled and tagged, come out under the same names and tags."""
    quick = tmp_path / "quick.yaml"
    quick.write_text("receivers: {statsd: {aggregation_interval: 2s}}")
    gateway = start_gateway(["datadog"], env=settings(intake), options=[quick])
    packets = [
        "legacy_orders_total:2|c|#shop:north",
        "legacy_orders_total:1|c|@0.25|#shop:north",
        "legacy_orders_total:7|c|#shop:south",
        "legacy_depth:11|g|#queue:q",
        "legacy_took_ms:30|ms|#shop:north",
        "legacy_took_ms:40|ms|#shop:north",
        "legacy_size:3|h",
        "legacy_wait_seconds:0.7|d|#shop:north",
    ]
    for _ in range(2):
        for packet in packets:
            # Each from a port of its own, as several processes of one host do.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(packet.encode(), ("127.0.0.1", gateway.ports.statsd))
        time.sleep(3)  # longer than one aggregation

    intake.wait_for(
        lambda sink: (
            sink.value("legacy_orders_total") == 26
            and [sink.count_of(f"legacy_{name}") for name in ("took_ms", "size", "wait_seconds")]
            == [4, 2, 2]
        )
    )
    assert intake.value("legacy_orders_total", shop="north", service="statsd") == 12
    assert intake.value("legacy_depth", queue="q") == 11
    assert sum(took.sum for took in intake.distributions("legacy_took_ms", shop="north")) == 140
    assert {
        series.metric: (series.type, series.overwritten)
        for series in intake.series()
        if series.metric.startswith("legacy")
    } == {"legacy_orders_total": ("count", 0), "legacy_depth": ("gauge", 0)}
