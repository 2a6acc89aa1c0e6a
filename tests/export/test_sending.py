"""Which exporters are used, and what is said of those that are not there."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.resources import Resource

from otel_accubooks.contract import metrics as m
from otel_accubooks.export.points import metrics_data
from otel_accubooks.export.sending import ExporterError, exporter_names, load_exporter
from otel_accubooks.recorder.totals import Point


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, ["otlp_proto_http"]),
        ({"OTEL_METRICS_EXPORTER": "none"}, []),
        ({"OTEL_METRICS_EXPORTER": "otlp, prometheus"}, ["otlp_proto_http", "prometheus"]),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
            },
            ["otlp_proto_http"],
        ),
    ],
)
def test_exporters_are_those_of_the_environment(env: dict[str, str], names: list[str]) -> None:
    """OpenTelemetry's own variables decide, OTLP over HTTP is the default."""
    assert exporter_names(env) == names


def test_an_unknown_protocol_is_named() -> None:
    """The message says what was found and what was expected."""
    with pytest.raises(ExporterError, match=r"'carrier-pigeon', expected one of http/protobuf"):
        exporter_names({"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"})


def test_an_exporter_that_is_not_installed_is_named() -> None:
    """The message says what to install."""
    with pytest.raises(ExporterError, match="pip install opentelemetry-exporter-otlp-proto-grpc"):
        load_exporter("otlp_proto_grpc")
    assert load_exporter("otlp_proto_http") is OTLPMetricExporter


def test_points_are_encoded_as_they_are() -> None:
    """Counters are whole, a histogram's count is that of its buckets, gauges have no start."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

    points = [
        Point(m.CACHE_HITS_TOTAL, (), start=1.0, value=5),
        Point(m.CACHE_OPERATION_DURATION_MS, ("get",), 1.0, counts=[1, 0, 0, 0, 0, 0, 2], total=9),
        Point(m.FORECAST_QUEUE_DEPTH, ("q",), value=3),
        Point(m.HTTP_REQUESTS_TOTAL, (), start=1.0, value=2, overflow=True),
    ]
    request = encode_metrics(metrics_data(points, Resource({"service.name": "x"}), 10.0))
    (scope,) = request.resource_metrics[0].scope_metrics
    found = {metric.name: metric for metric in scope.metrics}
    assert found["cache_hits_total"].sum.is_monotonic
    assert found["cache_hits_total"].sum.data_points[0].as_int == 5
    assert found["cache_hits_total"].sum.data_points[0].start_time_unix_nano == 10**9
    histogram = found["cache_operation_duration_ms"].histogram.data_points[0]
    assert (histogram.count, histogram.sum) == (3, 9)
    assert list(histogram.explicit_bounds) == [1, 5, 10, 25, 50, 100]
    assert not histogram.HasField("min")
    gauge = found["forecast_queue_depth"].gauge.data_points[0]
    assert (gauge.as_double, gauge.start_time_unix_nano) == (3, 0)
    overflow = found["http_requests_total"].sum.data_points[0].attributes[0]
    assert (overflow.key, overflow.value.bool_value) == ("otel.metric.overflow", True)
