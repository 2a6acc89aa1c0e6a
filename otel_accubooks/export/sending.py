"""Sending collected points through the OpenTelemetry exporters that the environment names."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

from otel_accubooks.export.delta import Acknowledged
from otel_accubooks.export.points import metrics_data
from otel_accubooks.recorder.totals import Point

DEFAULT_EXPORTERS = "otlp"
_OTLP_BY_PROTOCOL = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class ExporterError(Exception):
    """An exporter that cannot be had; the text says what was found and what to do."""


def exporter_names(env: Mapping[str, str]) -> list[str]:
    """What OTEL_METRICS_EXPORTER asks for; `otlp` as the name for its protocol's entry point."""
    names = [n.strip() for n in env.get("OTEL_METRICS_EXPORTER", DEFAULT_EXPORTERS).split(",")]
    protocol = env.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") or env.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
    )
    if "otlp" in names and protocol not in _OTLP_BY_PROTOCOL:
        raise ExporterError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, expected one of "
            f"{', '.join(_OTLP_BY_PROTOCOL)}"
        )
    resolved = [_OTLP_BY_PROTOCOL[protocol] if name == "otlp" else name for name in names]
    return [name for name in resolved if name not in ("", "none")]


def push_exporter_names(env: Mapping[str, str]) -> list[str]:
    """Those of `exporter_names` that are pushed to, not scraped."""
    return [name for name in exporter_names(env) if name != "prometheus"]


def load_exporter(name: str) -> Any:
    """The class behind the name of an `opentelemetry_metrics_exporter`. Raises ExporterError."""
    found = list(entry_points(group="opentelemetry_metrics_exporter", name=name))
    if not found:
        hint = f": pip install opentelemetry-exporter-{name.replace('_', '-')}"
        raise ExporterError(f"OTEL_METRICS_EXPORTER names {name!r}, which is not installed{hint}")
    return found[0].load()


class Pusher:
    """Sends through one push exporter, cumulative or delta as the environment prefers."""

    def __init__(
        self, exporter: MetricExporter, resource: Resource, acknowledged: Acknowledged | None
    ) -> None:
        self._exporter = exporter
        self._resource = resource
        self._acknowledged = acknowledged

    def send(self, points: list[Point]) -> bool:
        """Sends; True once the receiver has acknowledged."""
        now = time.time()
        delta = self._acknowledged is not None
        added = self._acknowledged.added(points) if self._acknowledged else points
        data = metrics_data(added, self._resource, now, delta=delta)
        if self._exporter.export(data) is not MetricExportResult.SUCCESS:
            return False
        if self._acknowledged:
            self._acknowledged.acknowledge(points, now)
        return True


def serve_prometheus(
    env: Mapping[str, str], resource: Resource, collect: Callable[[], list[Point]]
) -> None:
    """Serves the contract under its exact names for a scrape, by opentelemetry-exporter-prometheus."""
    from prometheus_client import start_http_server

    reader = PrometheusMetricReader(scope_info_enabled=False)

    def finished(*_: object, **__: object) -> MetricsData:
        return metrics_data(collect(), resource, time.time(), units=False)

    # The one private call: the reader takes finished data only from a provider's callback.
    reader._set_collect_callback(finished)
    port = env.get("OTEL_EXPORTER_PROMETHEUS_PORT", "9464")
    start_http_server(int(port), env.get("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost"))


def pushers(
    env: Mapping[str, str], resource: Resource, acknowledged: Callable[[str], Acknowledged]
) -> list[Pusher]:
    """One pusher for each push exporter that `env` names. Raises ExporterError."""
    preference = env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative")
    delta = preference.strip().lower() in ("delta", "lowmemory")
    made = []
    for name in push_exporter_names(env):
        of_delta = acknowledged(name) if delta and name.startswith("otlp") else None
        made.append(Pusher(load_exporter(name)(), resource, of_delta))
    return made
