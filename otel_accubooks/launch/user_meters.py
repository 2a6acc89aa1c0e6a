"""Meters that the application itself makes: in each process by a usual SDK provider of its own.

What the application holds are stand-ins. The provider behind them is made when a process first
records something, so that nothing of it is inherited over a fork: neither thread, nor lock, nor counts
that parent and child would both send. Its series are never mixed with those that the processes of the
service share, for it has an instance id of its own.
"""

from __future__ import annotations

import math
import os
import threading
import uuid
from logging import getLogger
from typing import Any

from opentelemetry.metrics import Meter, MeterProvider, NoOpMeterProvider

from otel_accubooks.launch.lazy_meters import LazyMeter, StandIn
from otel_accubooks.launch.per_process import PerProcess, prepare_for_forks
from otel_accubooks.launch.process_end import at_end
from otel_accubooks.launch.start import begin, settings
from otel_accubooks.launch.switches import disabled
from otel_accubooks.recorder.process import recorder

_log = getLogger("otel_accubooks")


def meter_provider() -> MeterProvider:
    """The provider that `opentelemetry.metrics.get_meter` asks. Never raises."""
    try:
        if not disabled() and settings().exports:
            begin()
            return UserMeters()
    except Exception:
        _log.warning("otel-accubooks: no meters for the application", exc_info=True)
    return NoOpMeterProvider()


class UserMeters(MeterProvider):
    """Gives out stand-ins, and makes what is behind them in each process."""

    def __init__(self) -> None:
        self._meters: dict[tuple[str, ...], LazyMeter] = {}
        self._observables: list[StandIn[Any]] = []
        self._sending = PerProcess(self._send)
        recorder.on_open(self._awake)

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> Meter:
        """As the API's; the meter may be made before a fork, and be used after it."""
        key = (name, str(version), str(schema_url), repr(attributes))
        known = self._meters.get(key)
        if known is None:

            def find(meter: LazyMeter) -> Meter:  # noqa: ARG001
                provider = self._sending.get().provider
                return provider.get_meter(name, version, schema_url, attributes)

            made = LazyMeter(name, version, schema_url, find, self._observe)
            known = self._meters.setdefault(key, made)
        return known

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Sends what this process has measured. As the SDK's."""
        sending = self._sending.known()
        return sending is None or sending.send(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Sends for the last time in this process. As the SDK's."""
        sending = self._sending.known()
        if sending is not None:
            sending.end(timeout_millis / 1000)

    def _send(self) -> Sending:
        return Sending()

    def _observe(self, instrument: StandIn[Any]) -> None:
        self._observables.append(instrument)
        instrument.real()

    def _awake(self) -> None:
        """In a process that has begun to record: what is to be observed is observed there too."""
        for instrument in self._observables:
            instrument.real()


class Sending:
    """The provider of one process, and the thread that collects and sends."""

    def __init__(self) -> None:
        self._readers = _readers()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        if not self._readers:
            self.provider: MeterProvider = NoOpMeterProvider()
            return
        from opentelemetry.sdk.metrics import MeterProvider as SDKMeterProvider
        from opentelemetry.sdk.resources import Resource

        from otel_accubooks.instrument.polling import threads_run

        resource = Resource.create({"service.instance.id": str(uuid.uuid4())})
        self.provider = SDKMeterProvider(self._readers, resource, shutdown_on_exit=False)
        prepare_for_forks()
        if threads_run():
            self._thread = threading.Thread(target=self._run, name="user-meters", daemon=True)
            self._thread.start()
        at_end(self.end)

    def _run(self) -> None:
        while not self._ending.wait(settings().interval_seconds):
            self.send()
        self.send()

    def send(self, timeout_millis: float = 10_000) -> bool:
        """Collects and sends once; False if that failed."""
        try:
            for reader in self._readers:
                reader.collect(timeout_millis)
        except Exception as error:
            from otel_accubooks.launch.arrival import say_once

            say_once("collecting", f"the application's own metrics are not collected: {error}")
            return False
        return True

    def end(self, seconds: float) -> None:
        """Sends for the last time; waits no longer than `seconds`."""
        if self._ending.is_set():
            return
        self._ending.set()
        if self._thread is not None:
            self._thread.join(seconds)
        else:
            self.send(seconds * 1000)


def _readers() -> list[Any]:
    from otel_accubooks.launch.arrival import say_once, watch

    try:
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        from otel_accubooks.export.exporters import exporter_maker, push_exporter_names

        names = push_exporter_names(os.environ)
        exporters = [exporter_maker(name)() for name in names]
    except Exception as error:
        say_once("meters", f"the application's own metrics are not sent: {error}")
        return []
    if not exporters:
        say_once(
            "meters",
            "the application's own metrics are not served: OTEL_METRICS_EXPORTER=prometheus serves "
            "those of the contract alone; with otlp,prometheus its own are sent",
        )
    for exporter in exporters:
        watch(exporter, "the application's own metrics", "METRICS")
    # Without a thread of their own, which the SDK would start again in every forked child.
    return [PeriodicExportingMetricReader(e, export_interval_millis=math.inf) for e in exporters]
