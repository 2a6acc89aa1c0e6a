"""The configurator: the SDK for traces and logs, where they are asked for; metrics need none."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from logging import getLogger
from typing import Any

from otel_accubooks.export.settings import OTLP_BY_PROTOCOL
from otel_accubooks.launch.start import settings

_log = getLogger("otel_accubooks")


class AccuBooksConfigurator:
    """Sets up providers for spans and log records; the contract's metrics go their own way."""

    def configure(self, **_: Any) -> None:
        """Called once by the launcher. Never raises: what is wrong is logged."""
        if settings().disabled:
            return
        try:
            if settings().traces:
                _configure_traces(_exporters("traces"))
            if settings().logs:
                _configure_logs(_exporters("logs"))
        except Exception as error:
            _log.warning("otel-accubooks: traces and logs are not sent: %s", error)


def _exporters(signal: str) -> list[Any]:
    names = os.environ[f"OTEL_{signal.upper()}_EXPORTER"].split(",")
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", protocol)
    made = []
    for name in (name.strip() for name in names):
        entry = OTLP_BY_PROTOCOL.get(protocol, protocol) if name == "otlp" else name
        found = list(entry_points(group=f"opentelemetry_{signal}_exporter", name=entry))
        if not found:
            raise LookupError(f"exporter {entry!r} for {signal} is not installed")
        made.append(found[0].load()())
    return made


def _configure_traces(exporters: list[Any]) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import set_tracer_provider

    provider = TracerProvider()
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    set_tracer_provider(provider)


def _configure_logs(exporters: list[Any]) -> None:
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    for exporter in exporters:
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    set_logger_provider(provider)
