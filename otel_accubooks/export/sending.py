"""Sending collected points through the OpenTelemetry exporters that the environment names."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from logging import getLogger
from pathlib import Path
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

from otel_accubooks.export.acknowledged import Acknowledged
from otel_accubooks.export.points import metrics_data
from otel_accubooks.export.receiver import ReceiverAdapter, watched_session
from otel_accubooks.export.settings import OTLP_BY_PROTOCOL
from otel_accubooks.recorder.totals import Point

_log = getLogger("otel_accubooks")

DEFAULT_EXPORTERS = "otlp"


class ExporterError(Exception):
    """An exporter that cannot be had; the text says what was found and what to do."""


def exporter_names(env: Mapping[str, str]) -> list[str]:
    """What OTEL_METRICS_EXPORTER asks for; `otlp` as the name for its protocol's entry point."""
    names = [n.strip() for n in env.get("OTEL_METRICS_EXPORTER", DEFAULT_EXPORTERS).split(",")]
    protocol = env.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") or env.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
    )
    if "otlp" in names and protocol not in OTLP_BY_PROTOCOL:
        raise ExporterError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, expected one of "
            f"{', '.join(OTLP_BY_PROTOCOL)}"
        )
    resolved = [OTLP_BY_PROTOCOL[protocol] if name == "otlp" else name for name in names]
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
    """Sends through one push exporter.

    A receiver that turns totals into growth takes the first total that it sees of a series as the
    point to count from. So one that may have been replaced is first sent what its predecessor had
    last, and then what there is now: nothing in between is lost. That is done only where it is
    certain that nothing later was received, since a total must never run backwards.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        resource: Resource,
        received: Path,
        sent: Acknowledged | None = None,
        adapter: ReceiverAdapter | None = None,
        *,
        successor: bool = False,
    ) -> None:
        """`received` is a file that is there once something may have been received.

        `successor` says that another exporter of this service was there before.
        `sent` is what receivers had so far, of a receiver that is sent deltas.
        """
        self._exporter = exporter
        self._resource = resource
        self._received = received
        # Where a predecessor may have sent something, it alone knew what.
        self._sent = sent or (None if received.exists() else Acknowledged())
        self._adapter = adapter
        self._delta = sent is not None
        self._replaced = successor
        self._second = 0

    def send(self, points: list[Point]) -> bool:
        """Sends; True once the receiver has acknowledged."""
        if self._delta:
            assert self._sent is not None
            acknowledged = self._export(self._sent.added(points))
            if acknowledged:
                self._sent.acknowledge(points, time.time())
            return acknowledged
        if not self._send_baseline(points):
            return False
        acknowledged = self._export(points)
        if acknowledged or self._adapter is None or self._adapter.received:
            self._sent = self._sent or Acknowledged()
            self._sent.acknowledge(points, time.time())
        return acknowledged

    def _send_baseline(self, points: list[Point]) -> bool:
        if self._adapter is None or self._sent is None:
            return True
        if not (self._replaced or self._adapter.dropped()):
            return True
        self._adapter.close()
        return self._export(self._sent.baseline(points))

    def _export(self, points: list[Point]) -> bool:
        # A backend that stores whole seconds would keep one of two points of the same second.
        if int(time.time()) == self._second:
            time.sleep(1 - time.time() % 1)
        now = time.time()
        self._second = int(now)
        if self._adapter is not None:
            self._adapter.received = False
        self._mark(there=True)
        data = metrics_data(points, self._resource, now, delta=self._delta)
        try:
            acknowledged = self._exporter.export(data) is MetricExportResult.SUCCESS
        except Exception as error:
            _log.warning("%s", error)
            acknowledged = False
        self._replaced = not acknowledged
        if self._sent is not None and self._sent.nothing and not acknowledged:
            self._mark(there=self._adapter is None or self._adapter.received)
        return acknowledged

    def _mark(self, *, there: bool) -> None:
        try:
            if there:
                self._received.touch()
            else:
                self._received.unlink(missing_ok=True)
        except OSError:
            pass  # a successor then takes the cautious way


def serve_prometheus(
    env: Mapping[str, str], resource: Resource, collect: Callable[[], list[Point]]
) -> None:
    """Serves the contract under its exact names for a scrape, by opentelemetry-exporter-prometheus."""
    from prometheus_client import start_http_server

    # Older versions have neither the option nor the labels that it leaves out.
    known = inspect.signature(PrometheusMetricReader).parameters
    options: dict[str, Any] = {"scope_info_enabled": False} if "scope_info_enabled" in known else {}
    reader = PrometheusMetricReader(**options)

    def finished(*_: object, **__: object) -> MetricsData:
        return metrics_data(collect(), resource, time.time(), units=False)

    # The one private call: the reader takes finished data only from a provider's callback.
    reader._set_collect_callback(finished)
    port = env.get("OTEL_EXPORTER_PROMETHEUS_PORT", "9464")
    start_http_server(int(port), env.get("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost"))


def pushers(
    env: Mapping[str, str],
    resource: Resource,
    folder: Path,
    *,
    successor: bool,
) -> list[Pusher]:
    """One pusher for each push exporter that `env` names. Raises ExporterError.

    What a successor has to know is kept in `folder`.
    """
    preference = env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative")
    delta = preference.strip().lower() in ("delta", "lowmemory")
    made = []
    for name in push_exporter_names(env):
        received = folder / f"received-{name}"
        if delta and name.startswith("otlp"):
            exporter = load_exporter(name)()
            sent = Acknowledged(folder / f"acknowledged-{name}")
            made.append(Pusher(exporter, resource, received, sent))
        elif name == "otlp_proto_http":
            session, adapter = watched_session()
            exporter = load_exporter(name)(session=session)
            made.append(Pusher(exporter, resource, received, None, adapter, successor=successor))
        else:
            made.append(Pusher(load_exporter(name)(), resource, received))
    return made
