"""What a gateway tells of itself to a backend that cannot scrape it."""

from __future__ import annotations

from collections.abc import Callable

import yaml

from otel_accubooks.contract import pipeline
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.files import COLLECTOR, GATEWAY
from otel_accubooks.stack.ports import free_port
from tests.collector.waiting import eventually

OWN = COLLECTOR / "options/own-metrics.yaml"


def test_datadog_gets_what_the_pipelines_alert_asks_for(
    start_gateway: Callable[..., Collector],
) -> None:
    """Under the contract's names, with the tags by which its monitors group."""
    with DatadogIntake() as intake:
        settings = {
            "DD_URL": intake.url,
            "DD_API_KEY": "0" * 32,
            "DD_HOSTNAME": "gateway-host",
            "GATEWAY_OWN_OTLP_PORT": str(free_port()),
            "GATEWAY_OWN_INTERVAL": "500",
        }
        start_gateway(["datadog"], env=settings, options=[OWN])
        where = {"service": "otelcol-accubooks", "host": "gateway-host"}

        def types() -> set[str]:
            asked = (
                intake.series(pipeline.RECEIVER_REFUSED.name, receiver="otlp/own", **where),
                intake.series(pipeline.QUEUE_SIZE.name, exporter="datadog", **where),
                intake.series(pipeline.QUEUE_CAPACITY.name, exporter="datadog", **where),
            )
            return {series.type for found in asked for series in found} if all(asked) else set()

        eventually(types, {"count", "gauge"})
        others = {one.metric for one in intake.series() if one.metric.startswith("datadog.trace")}
        assert others == set()


def test_the_gateways_own_reader_is_kept() -> None:
    """A list replaces a list: what the gateway has must be repeated where one more is added."""
    own = yaml.safe_load(OWN.read_text())["service"]["telemetry"]["metrics"]["readers"]
    gateway = yaml.safe_load(GATEWAY.read_text())["service"]["telemetry"]["metrics"]["readers"]
    assert own[: len(gateway)] == gateway
