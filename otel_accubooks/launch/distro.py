"""The distro: which instrumentors are loaded, and which of OpenTelemetry's defaults are ours."""

from __future__ import annotations

import os
from logging import getLogger
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.distro import BaseDistro

from otel_accubooks.launch.start import settings, start
from otel_accubooks.launch.switches import asked_for, disabled

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = getLogger("otel_accubooks")

DEFAULTS = {
    "OTEL_PYTHON_CONFIGURATOR": "accubooks",
    "OTEL_PYTHON_METER_PROVIDER": "accubooks",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel,accubooks",
}

# Their metrics are the contract's to measure: they are loaded for the spans that they make.
_FOR_TRACES = ("flask", "psycopg2", "psycopg", "sqlalchemy", "redis", "celery")
_for_spans: list[tuple[EntryPoint, dict[str, Any]]] = []


class AccuBooksDistro(BaseDistro):  # type: ignore[misc]
    """Light metrics by our own instrumentors; upstream's make the spans once traces are asked for."""

    def _configure(self, **_: Any) -> None:
        if disabled():
            return
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        if asked_for("TRACES") and settings().exemplars:
            from otel_accubooks.launch.sampled_span import link_exemplars

            link_exemplars()
        start()

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Loads one `opentelemetry_instrumentor`. Nothing at all where OTEL_SDK_DISABLED is true."""
        if disabled():
            return
        if entry_point.module.startswith("otel_accubooks."):
            try:
                entry_point.load()().instrument(**kwargs)
            except Exception as error:  # else the launcher gives up all that come after it
                _log.warning("otel-accubooks: no metrics: %s", error)
        elif entry_point.name not in _FOR_TRACES:
            super().load_instrumentor(entry_point, **kwargs)
        elif asked_for("TRACES"):
            _for_spans.append((entry_point, kwargs))


def load_for_spans() -> None:
    """Loads upstream's instrumentors of our libraries, after all of ours. Never raises.

    They import their library, and derive classes from what they find in it.
    """
    while _for_spans:
        entry_point, kwargs = _for_spans.pop(0)
        try:
            from opentelemetry.metrics import NoOpMeterProvider

            entry_point.load()().instrument(meter_provider=NoOpMeterProvider(), **kwargs)
        except ModuleNotFoundError:
            pass  # the application does not have the library
        except Exception as error:
            _log.warning("otel-accubooks: no spans of %s: %s", entry_point.name, error)
