"""The OTLP receiver takes what exporters send and tells what the points say."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx
import pytest
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_accubooks.stack.otlp_receiver import OtlpReceiver, Series

PROTOBUF = "application/x-protobuf"


@pytest.fixture
def sink() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


def request_with(
    value: int, *, temporality: int = 2, start: int = 1, instance: str = "i-1", route: str = "/x"
) -> ExportMetricsServiceRequest:
    """One counter point; `temporality` is OTLP's number: 1 delta, 2 cumulative."""
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    attribute = resource_metrics.resource.attributes.add(key="service.instance.id")
    attribute.value.string_value = instance
    metric = resource_metrics.scope_metrics.add().metrics.add(name="c", unit="{x}")
    metric.sum.aggregation_temporality = temporality
    metric.sum.is_monotonic = True
    point = metric.sum.data_points.add(as_int=value, start_time_unix_nano=start)
    point.attributes.add(key="route").value.string_value = route
    return request


def post(sink: OtlpReceiver, body: bytes, kind: str = PROTOBUF, **headers: str) -> httpx.Response:
    headers = {"Content-Type": kind, **headers}
    url = f"{sink.endpoint}/v1/metrics"
    return httpx.post(url, content=body, headers=headers, trust_env=False)


def only(found: list[Series]) -> Series:
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_both_encodings_are_taken(sink: OtlpReceiver, kind: str, coding: str) -> None:
    """Protobuf and JSON, plain and compressed, are taken and answered in kind."""
    request = request_with(7)
    as_json = kind == "application/json"
    body = json_format.MessageToJson(request).encode() if as_json else request.SerializeToString()
    sent = gzip.compress(body) if coding == "gzip" else body
    answer = post(sink, sent, kind, **{"Content-Encoding": coding})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == kind
    if not as_json:
        ExportMetricsServiceResponse.FromString(answer.content)
    assert (sink.value("c", route="/x"), only(sink.series("c")).unit) == (7, "{x}")


def test_a_cumulative_value_is_the_last(sink: OtlpReceiver) -> None:
    """Of a cumulative series the last value and its start are kept."""
    for value in (3, 5):
        post(sink, request_with(value, start=11).SerializeToString())
    series = only(sink.series("c"))
    assert (series.value, series.points, series.resets) == (5, 2, 0)
    assert (series.temporality, series.start_time_unix_nano) == ("cumulative", 11)


def test_a_value_that_goes_backwards_is_a_reset(sink: OtlpReceiver) -> None:
    """A cumulative series that falls tells of it."""
    for value in (3, 5, 1, 2):
        post(sink, request_with(value).SerializeToString())
    assert only(sink.series("c")).resets == 1


def test_deltas_add_up(sink: OtlpReceiver) -> None:
    """Of a delta series the sum is kept, and smaller points are no resets."""
    for value in (3, 5, 1):
        post(sink, request_with(value, temporality=1).SerializeToString())
    series = only(sink.series("c"))
    assert (series.value, series.resets, series.temporality) == (9, 0, "delta")


def test_instances_and_attributes_are_series_of_their_own(sink: OtlpReceiver) -> None:
    """A value over series is their sum, and every series can be asked for alone."""
    for instance, route, value in (("a", "/x", 1), ("a", "/y", 2), ("b", "/x", 4)):
        body = request_with(value, instance=instance, route=route).SerializeToString()
        post(sink, body)
    assert sink.value("c") == 7
    assert sink.value("c", route="/x") == 5
    assert {series.instance: series.value for series in sink.series("c", route="/x")} == {
        "a": 1,
        "b": 4,
    }


def test_what_the_sdks_exporter_sends_is_understood(sink: OtlpReceiver) -> None:
    """The official exporter's counters, histograms and gauges arrive, with its headers."""
    exporter = OTLPMetricExporter(
        f"{sink.endpoint}/v1/metrics",
        headers={"api-key": "secret"},
        compression=Compression.Gzip,
        preferred_temporality={
            Counter: AggregationTemporality.CUMULATIVE,
            Histogram: AggregationTemporality.DELTA,
        },
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource({"service.instance.id": "sdk-1"})
    provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    meter = provider.get_meter("test")
    counter = meter.create_counter("jobs")
    histogram = meter.create_histogram("took", "ms", explicit_bucket_boundaries_advisory=[1, 10])
    meter.create_gauge("depth").set(1.5)
    for took in (0.5, 5, 50):
        counter.add(2, {"queue": "q"})
        histogram.record(took)
        provider.force_flush()
    provider.shutdown()
    assert sink.value("jobs", queue="q") == 6
    assert only(sink.series("depth")).value == 1.5
    took_series = only(sink.series("took"))
    assert (took_series.value, took_series.sum, took_series.temporality) == (3, 55.5, "delta")
    assert (took_series.bounds, took_series.bucket_counts) == ((1, 10), (1, 1, 1))
    assert took_series.instance == "sdk-1"
    assert {headers["api-key"] for headers in sink.headers} == {"secret"}


def test_malformed_requests_are_refused_with_a_status(sink: OtlpReceiver) -> None:
    """What cannot be decoded is 400, with the reason in the protocol's own Status message."""
    answer = post(sink, b"\xff\xff")
    assert answer.status_code == 400
    assert "ExportMetricsServiceRequest" in Status.FromString(answer.content).message
    answer = post(sink, b"{", "application/json")
    assert (answer.status_code, "message" in answer.json()) == (400, True)


def test_a_histogram_that_contradicts_itself_is_refused(sink: OtlpReceiver) -> None:
    """Buckets that do not add up to the count are refused, and nothing of the request is kept."""
    request = request_with(1)
    metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="h")
    metric.histogram.aggregation_temporality = 2
    metric.histogram.data_points.add(count=3, bucket_counts=[1, 1], explicit_bounds=[5])
    answer = post(sink, request.SerializeToString())
    assert answer.status_code == 400
    assert sink.series() == []


def test_a_refusal_is_retried_by_the_official_exporter(sink: OtlpReceiver) -> None:
    """After one 503 the same export comes again, and counts once."""
    sink.fail("503", for_requests=1)
    exporter = OTLPMetricExporter(f"{sink.endpoint}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("c").add(3)
    provider.force_flush()
    sink.wait_for(lambda received: received.value("c") == 3)
    provider.shutdown()
    assert sink.requests["POST", "/v1/metrics", 503] == 1


def test_spans_of_the_official_exporter_are_told(sink: OtlpReceiver) -> None:
    """Names, ids, parents, attributes, resource and who made them."""
    provider = TracerProvider(
        resource=Resource({"service.instance.id": "i-1"}), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{sink.endpoint}/v1/traces")))
    tracer = provider.get_tracer("mine")
    with (
        tracer.start_as_current_span("outer") as outer,
        tracer.start_as_current_span("inner", attributes={"route": "/x"}),
    ):
        pass
    (inner,) = sink.spans(route="/x")
    (parent,) = sink.spans("outer")
    assert (inner.name, inner.scope, inner.instance) == ("inner", "mine", "i-1")
    assert inner.parent_id == parent.span_id == f"{outer.get_span_context().span_id:016x}"
    assert inner.trace_id == parent.trace_id
