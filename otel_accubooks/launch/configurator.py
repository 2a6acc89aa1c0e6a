"""The configurator: the SDK for traces and logs, where they are asked for; metrics need none."""

from __future__ import annotations

import os
from collections.abc import Callable
from logging import getLogger
from typing import Any

from otel_accubooks.launch.switches import asked_for, disabled

_log = getLogger("otel_accubooks")


class AccuBooksConfigurator:
    """Sets up providers for spans and log records; the contract's metrics go their own way."""

    def configure(self, **_: Any) -> None:
        """Called once by the launcher. Never raises: what is wrong is logged."""
        if disabled():
            return
        for signal, configure in (("TRACES", _configure_traces), ("LOGS", _configure_logs)):
            try:
                if asked_for(signal):
                    configure(exporters(signal))
            except Exception as error:
                _log.warning("otel-accubooks: %s are not sent: %s", signal.lower(), error)


def exporters(signal: str) -> list[Callable[[], Any]]:
    """What makes the exporters that the environment names for TRACES or LOGS. Raises ExporterError."""
    from otel_accubooks.export.exporters import exporter_maker, exporter_names

    return [exporter_maker(name, signal.lower()) for name in exporter_names(os.environ, signal)]


def _configure_traces(exporters: list[Callable[[], Any]]) -> None:
    from opentelemetry.metrics import NoOpMeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import set_tracer_provider

    from otel_accubooks.launch.batches import SpanBatches

    provider = TracerProvider(shutdown_on_exit=False, meter_provider=NoOpMeterProvider())
    for exporter in exporters:
        provider.add_span_processor(SpanBatches(exporter))
    set_tracer_provider(provider)


def _configure_logs(exporters: list[Callable[[], Any]]) -> None:
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider

    from otel_accubooks.launch.batches import LogBatches

    provider = LoggerProvider(shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_log_record_processor(LogBatches(exporter))
    set_logger_provider(provider)
