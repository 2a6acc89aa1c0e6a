"""Spans through the gateway: to each backend that takes them, and refused where none does."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.files import BACKENDS
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.prometheus import Prometheus
from tests.collector.otlp_application import Application
from tests.collector.waiting import eventually

Start = Callable[..., Collector]


def push_spans(gateway: Collector, number: int, **attributes: str) -> tuple[int, set[str]]:
    """Sends spans named "GET /ledger"; returns the answer's status and the ids of the spans."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "accubooks"
    scope = resource_spans.scope_spans.add()
    now = time.time_ns()
    for _ in range(number):
        span = scope.spans.add(
            name="GET /ledger",
            kind=2,
            trace_id=secrets.token_bytes(16),
            span_id=secrets.token_bytes(8),
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1_000_000,
        )
        for key, value in attributes.items():
            span.attributes.add(key=key).value.string_value = value
    answer = httpx.post(
        f"{gateway.otlp_url}/v1/traces",
        content=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        trust_env=False,
    )
    return answer.status_code, {span.span_id.hex() for span in scope.spans}


def test_spans_go_to_several_backends_at_once(start_gateway: Start) -> None:
    """Datadog and New Relic each get every span, New Relic with the key; nobody's address is told."""
    with DatadogIntake() as intake, OtlpReceiver() as newrelic:
        gateway = start_gateway(
            ["datadog", "newrelic", "prometheus-scrape"],
            env={
                "DD_URL": intake.url,
                "DD_TRACES_URL": intake.url,
                "DD_API_KEY": "0" * 32,
                "DD_HOSTNAME": "gateway-host",
                "NEW_RELIC_OTLP_ENDPOINT": newrelic.endpoint,
                "NEW_RELIC_LICENSE_KEY": "licence",
            },
        )
        status, sent = push_spans(gateway, 20, account="jane.doe@example.com", tier="PRO")
        assert status == 200
        eventually(lambda: {span.span_id for span in newrelic.spans()}, sent)
        eventually(lambda: {f"{span.span_id:016x}" for span in intake.spans()}, sent)
        assert {span.attributes["tier"] for span in newrelic.spans()} == {"PRO"}
        assert "jane.doe" not in str(newrelic.spans())
        assert {headers["api-key"] for headers in newrelic.headers} == {"licence"}
        assert {span.service for span in intake.spans()} == {"accubooks"}


def test_with_prometheus_alone_senders_are_told(start_gateway: Start) -> None:
    """Spans are refused, not taken and thrown away; metrics go on."""
    gateway = start_gateway(["prometheus-scrape"])
    assert push_spans(gateway, 1)[0] == 404
    Application().push(gateway.otlp_url)


@pytest.mark.parametrize("path", sorted(BACKENDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_spans_are_guarded_as_metrics_are(path: Any) -> None:
    """Wherever a backend takes spans, memory is limited first, and what is personal is masked."""
    pipelines = yaml.safe_load(path.read_text())["service"]["pipelines"]
    traces = [pipeline for name, pipeline in pipelines.items() if name.startswith("traces")]
    assert bool(traces) == (not path.stem.startswith("prometheus"))
    for pipeline in traces:
        assert pipeline["receivers"] == ["otlp"]
        assert pipeline["processors"][:3] == ["memory_limiter", "redaction", "redaction/names"]


def test_prometheus_knows_the_trace_behind_a_bucket(
    start_gateway: Start, prometheus3: Prometheus
) -> None:
    """Exemplars pass the gateway: Prometheus 3 answers which trace made a slow request."""
    gateway = start_gateway(["prometheus"], env={"PROMETHEUS_URL": prometheus3.url})
    application = Application()
    application.record("http_request_duration_ms", 300.0, route="/ledger")
    request = application.request()
    (metric,) = request.resource_metrics[0].scope_metrics[0].metrics
    trace_id = secrets.token_bytes(16)
    metric.histogram.data_points[0].exemplars.add(
        time_unix_nano=time.time_ns(),
        as_double=300.0,
        trace_id=trace_id,
        span_id=secrets.token_bytes(8),
    )
    httpx.post(
        f"{gateway.otlp_url}/v1/metrics",
        content=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        trust_env=False,
    ).raise_for_status()

    def traces() -> list[str]:
        now = time.time()
        asked = {"query": "http_request_duration_ms_bucket", "start": now - 300, "end": now + 60}
        url = f"{prometheus3.url}/api/v1/query_exemplars"
        found = httpx.get(url, params=asked, trust_env=False).json()["data"]
        return [one["labels"]["trace_id"] for series in found for one in series["exemplars"]]

    eventually(traces, [trace_id.hex()])
