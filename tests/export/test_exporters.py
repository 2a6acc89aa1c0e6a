"""Which exporters are used, and what is said of those that are not there."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from otel_accubooks.export.exporters import (
    ExporterError,
    exporter_names,
    load_exporter,
    push_exporter_names,
)


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, ["otlp_proto_http"]),
        ({"OTEL_METRICS_EXPORTER": "none"}, []),
        ({"OTEL_METRICS_EXPORTER": "otlp, prometheus"}, ["otlp_proto_http", "prometheus"]),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
        ({"OTEL_METRICS_EXPORTER": "otlp,none,,otlp"}, ["otlp_proto_http"]),
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
    assert load_exporter("otlp_proto_http", "traces") is OTLPSpanExporter


def test_one_that_nobody_knows_is_not_recommended() -> None:
    """What it is called might be somebody else's package."""
    with pytest.raises(ExporterError, match=r"names 'telepathy'.*console") as said:
        load_exporter("telepathy", "traces")
    assert "pip install" not in str(said.value)


def test_other_signals_are_sent_only_when_asked_for() -> None:
    """Spans have no default, and a protocol of their own."""
    assert exporter_names({}, "TRACES") == []
    env = {"OTEL_TRACES_EXPORTER": "console,otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}
    assert exporter_names(env, "TRACES") == ["console", "otlp_proto_grpc"]
    with pytest.raises(ExporterError, match="OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is 'smoke'"):
        exporter_names({**env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "smoke"}, "TRACES")


def test_what_is_scraped_is_not_pushed() -> None:
    """The page for Prometheus is no receiver."""
    assert push_exporter_names({"OTEL_METRICS_EXPORTER": "prometheus,console"}) == ["console"]
