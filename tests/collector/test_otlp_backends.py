"""Out of the gateway by OTLP: into New Relic as it likes it, to anybody else as it came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.otlp_receiver import OtlpReceiver, Series
from tests.collector.otlp_application import BOUNDS, Application

REQUESTS = "http_requests_total"
DURATION = "http_request_duration_ms"

Start = Callable[..., Collector]
IntoSink = tuple[Collector, OtlpReceiver]


@pytest.fixture
def sink() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture
def newrelic(start_gateway: Start, sink: OtlpReceiver) -> IntoSink:
    env = {"NEW_RELIC_OTLP_ENDPOINT": sink.endpoint, "NEW_RELIC_LICENSE_KEY": "licence"}
    return start_gateway(["newrelic"], env=env), sink


@pytest.fixture
def otlp(start_gateway: Start, sink: OtlpReceiver) -> IntoSink:
    env = {
        "OTLP_BACKEND_ENDPOINT": sink.endpoint,
        "OTLP_BACKEND_HEADERS": '{"x-token": "secret", "x-tenant": "t"}',
    }
    return start_gateway(["otlp"], env=env), sink


def requests_are_served(application: Application, gateway: Collector, pushes: int) -> None:
    """Four requests and two durations (30 and 300 ms) before each push."""
    for _ in range(pushes):
        application.count(REQUESTS, 4, route="/ledger")
        application.record(DURATION, 30, 300, route="/ledger")
        application.push(gateway.otlp_url)
        time.sleep(0.1)


def arrived(application: Application) -> Callable[[OtlpReceiver], Any]:
    durations = sum(len(values) for values in application.values.values())
    return lambda sink: (
        sink.value(REQUESTS) >= application.total(REQUESTS) and sink.value(DURATION) >= durations
    )


def only(found: list[Series]) -> Series:
    assert len(found) == 1, found
    return found[0]


def test_new_relic_is_sent_deltas_that_add_up(newrelic: IntoSink) -> None:
    """Cumulative totals become compressed deltas, sent with the licence key, and add up again."""
    gateway, sink = newrelic
    application = Application()
    application.set("system_uptime_seconds", 12.5)
    requests_are_served(application, gateway, 5)
    sink.wait_for(arrived(application))
    counter, histogram = only(sink.series(REQUESTS)), only(sink.series(DURATION))
    assert (counter.value, counter.temporality, counter.monotonic) == (20, "delta", True)
    assert (histogram.value, histogram.sum, histogram.temporality) == (10, 1650, "delta")
    assert (histogram.bounds, sum(histogram.bucket_counts)) == (BOUNDS, 10)
    assert only(sink.series("system_uptime_seconds")).value == 12.5
    assert {headers["api-key"] for headers in sink.headers} == {"licence"}
    assert {headers["content-encoding"] for headers in sink.headers} == {"gzip"}


def test_another_backend_is_sent_what_came(otlp: IntoSink) -> None:
    """Labels, values, buckets, start times, identity and temporality are the application's."""
    gateway, sink = otlp
    application = Application()
    requests_are_served(application, gateway, 3)
    sink.wait_for(arrived(application))
    sent = application.request().resource_metrics[0].scope_metrics[0].metrics
    starts = {
        metric.name: getattr(metric, metric.WhichOneof("data")).data_points[0].start_time_unix_nano
        for metric in sent
    }
    for name, value in ((REQUESTS, 12), (DURATION, 6)):
        series = only(sink.series(name))
        assert (series.value, series.temporality, series.resets) == (value, "cumulative", 0)
        assert series.start_time_unix_nano == starts[name]
        assert series.attributes == {"route": "/ledger"}
        assert series.resource == application.resource
    assert only(sink.series(DURATION)).bucket_counts == (0, 3, 0, 0, 3, 0, 0, 0, 0)


def test_another_backend_gets_the_headers_it_wants(otlp: IntoSink) -> None:
    """OTLP_BACKEND_HEADERS is a map of headers that every request carries."""
    gateway, sink = otlp
    requests_are_served(Application(), gateway, 1)
    sink.wait_for(lambda sink: sink.headers)
    assert {(headers["x-token"], headers["x-tenant"]) for headers in sink.headers} == {
        ("secret", "t")
    }


def test_deltas_stay_deltas(otlp: IntoSink) -> None:
    """An application that sends delta is not converted on the way to another vendor."""
    gateway, sink = otlp
    application = Application(delta=True)
    requests_are_served(application, gateway, 3)
    sink.wait_for(arrived(application))
    assert (only(sink.series(REQUESTS)).temporality, sink.value(REQUESTS)) == ("delta", 12)


@pytest.mark.parametrize("backend", ["newrelic", "otlp"])
@pytest.mark.parametrize("mode", ["503", "reset"])
def test_an_outage_loses_and_doubles_nothing(
    request: pytest.FixtureRequest, backend: str, mode: str
) -> None:
    """What is counted while the backend refuses arrives afterwards, once."""
    gateway, sink = request.getfixturevalue(backend)
    application = Application()
    requests_are_served(application, gateway, 2)
    sink.fail(mode)
    requests_are_served(application, gateway, 4)
    sink.fail("ok")
    requests_are_served(application, gateway, 2)
    sink.wait_for(arrived(application), timeout=60)
    assert (sink.value(REQUESTS), sink.value(DURATION)) == (32, 16)


@pytest.mark.parametrize("backend", ["newrelic", "otlp"])
def test_a_gateway_killed_during_an_outage_loses_no_delta(
    request: pytest.FixtureRequest, backend: str
) -> None:
    """Deltas that were acknowledged to the application are on disk, and outlive a SIGKILL."""
    gateway, sink = request.getfixturevalue(backend)
    application = Application(delta=True)
    sink.fail("503")
    requests_are_served(application, gateway, 4)
    gateway.kill()
    gateway.start()
    requests_are_served(application, gateway, 2)
    sink.fail("ok")
    sink.wait_for(arrived(application), timeout=60)
    assert (sink.value(REQUESTS), sink.value(DURATION)) == (24, 12)
