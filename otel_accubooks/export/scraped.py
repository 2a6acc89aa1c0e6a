"""OTEL_METRICS_EXPORTER=prometheus: a page for Prometheus, by opentelemetry-exporter-prometheus."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource
from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    REGISTRY,
    start_http_server,
)

from otel_accubooks.export.points import metrics_data
from otel_accubooks.recorder.totals import Point

DEFAULT_PORT = "9464"


class Page:
    """The contract under its exact names, added up over all processes of the service."""

    def __init__(
        self, env: Mapping[str, str], resource: Resource, collect: Callable[[], list[Point]]
    ) -> None:
        """`env` says host and port."""
        self._host = env.get("OTEL_EXPORTER_PROMETHEUS_HOST") or "localhost"
        self._port = env.get("OTEL_EXPORTER_PROMETHEUS_PORT") or DEFAULT_PORT
        self._open = False
        # They would tell of the exporter, which is not what anybody asks for.
        for collector in (GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR):
            REGISTRY.unregister(collector)
        # Older versions have neither the option nor the labels that it leaves out.
        known = inspect.signature(PrometheusMetricReader).parameters
        options: dict[str, Any] = (
            {"scope_info_enabled": False} if "scope_info_enabled" in known else {}
        )
        reader = PrometheusMetricReader(**options)

        def finished(*_: object, **__: object) -> MetricsData:
            return metrics_data(collect(), resource, time.time(), units=False)

        # The one private call: the reader takes finished data only from a provider's callback.
        reader._set_collect_callback(finished)

    def serve(self) -> str | None:
        """Begins to serve, if it does not yet; returns what stands against it, or None."""
        if self._open:
            return None
        try:
            start_http_server(int(self._port), self._host)
        except ValueError:
            return (
                f"OTEL_EXPORTER_PROMETHEUS_PORT is {self._port!r}, expected a number; "
                "no page for Prometheus is served"
            )
        except (OSError, OverflowError) as error:
            return (
                f"no page for Prometheus is served at {self._host}:{self._port}: {error}; it is "
                "tried again, and OTEL_EXPORTER_PROMETHEUS_PORT names another port"
            )
        self._open = True
        return None
