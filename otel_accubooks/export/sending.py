"""Sending collected points through the OpenTelemetry exporters that the environment names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

from otel_accubooks.export.acknowledged import Acknowledged
from otel_accubooks.export.exporters import (
    ExporterError,
    exporter_maker,
    exporter_names,
    load_exporter,
)
from otel_accubooks.export.points import metrics_data
from otel_accubooks.export.receiver import ReceiverAdapter, watched_session
from otel_accubooks.recorder.exemplars import Exemplar
from otel_accubooks.recorder.totals import Point

if TYPE_CHECKING:
    from otel_accubooks.export.encoding import Encoder

_log = getLogger("otel_accubooks")


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
        received: Path | None,
        sent: Acknowledged | None = None,
        adapter: ReceiverAdapter | None = None,
        *,
        successor: bool = False,
    ) -> None:
        """`received` is a file that is there once something may have been received; None: no successor.

        `successor` says that another exporter of this service was there before.
        `sent` is what receivers had so far, of a receiver that is sent deltas.
        """
        self.exporter = exporter
        self._resource = resource
        self._received = received
        # Beside it while nothing can be received: what receivers had last, so that a successor knows.
        self._had = received.with_name(f"{received.name}-last") if received and adapter else None
        self._adapter = adapter
        self._delta = sent is not None
        self._sent = sent or self._known()
        if adapter is not None:
            adapter.on_sending(self._begin)
        self._replaced = successor or bool(self._had and self._had.exists())
        self._repeats = False  # what is being sent was received before
        self._second = 0
        self._told: frozenset[Exemplar] = frozenset()
        self._encoder = _encoder(exporter, resource, delta=self._delta)

    def _known(self) -> Acknowledged | None:
        """What receivers had last; None where a predecessor may have sent more, and alone knew what."""
        if not (self._received and self._received.exists()):
            return Acknowledged()
        return Acknowledged.read(self._had) if self._had else None

    def send(self, points: list[Point]) -> bool:
        """Sends; True once the receiver has acknowledged."""
        if self._delta:
            assert self._sent is not None
            acknowledged = self._export(self._sent.added(points))
            if acknowledged:
                self._sent.acknowledge(points, time.time())
            return acknowledged
        if not self._send_baseline(points):
            self._keep()
            return False
        acknowledged = self._export(points)
        # A successor that was told nothing knows at least that its predecessor had sent no more.
        if acknowledged or self._sent is None or self._adapter is None or self._adapter.received:
            self._sent = self._sent or Acknowledged()
            self._sent.acknowledge(points, time.time())
        if not acknowledged:
            self._keep()
        return acknowledged

    def _send_baseline(self, points: list[Point]) -> bool:
        if self._adapter is None or self._sent is None:
            return True
        if not (self._replaced or self._adapter.dropped()):
            return True
        self._adapter.close()
        self._repeats = True
        try:
            return self._export(self._sent.baseline(points))
        finally:
            self._repeats = False

    def _export(self, points: list[Point]) -> bool:
        # A backend that stores whole seconds would keep one of two points of the same second.
        if int(time.time()) == self._second:
            time.sleep(1 - time.time() % 1)
        now = time.time()
        self._second = int(now)
        if self._adapter is not None:
            self._adapter.received = self._adapter.answered = False
        else:
            self._begin()
        fresh, told = _fresh_exemplars(points, self._told)
        data = self._data(fresh, now)
        try:
            acknowledged = self.exporter.export(data) is MetricExportResult.SUCCESS
        except Exception as error:
            _log.warning("%s", error)
            acknowledged = False
        if acknowledged:
            self._told = told
        answered = self._adapter is not None and self._adapter.answered
        self._replaced = not acknowledged and not answered
        return acknowledged

    def _data(self, points: list[Point], now: float) -> MetricsData:
        def made() -> MetricsData:
            return metrics_data(points, self._resource, now, delta=self._delta)

        if (encoder := self._encoder) is None:
            return made()
        from otel_accubooks.export.encoding import Prepared

        return Prepared(lambda: encoder.request(points, now), made)

    def _begin(self) -> None:
        """From now on something may be received: what was kept for a successor holds no longer."""
        try:
            if self._had is not None and not self._repeats:
                self._had.unlink(missing_ok=True)
            if self._received is not None:
                self._received.touch()
        except OSError:
            pass  # the folder was deleted, and with it what a successor would read

    def _keep(self) -> None:
        """After an export that failed: what receivers had last, in a file for a successor."""
        if self._received is None or self._had is None or self._sent is None:
            return
        try:
            if self._sent.nothing:
                self._received.unlink(missing_ok=True)
            elif not self._had.exists():
                self._sent.write(self._had)
        except OSError:
            pass  # no room: a successor then takes the cautious way


def _encoder(exporter: MetricExporter, resource: Resource, *, delta: bool) -> Encoder | None:
    try:
        # Not for exporters that write no OTLP: it brings protobuf.
        from otel_accubooks.export.encoding import Encoder, accept_prepared
    except ImportError:
        return None
    return Encoder(resource, delta=delta) if accept_prepared(exporter) else None


def _fresh_exemplars(
    points: list[Point], told: frozenset[Exemplar]
) -> tuple[list[Point], frozenset[Exemplar]]:
    """The points with the exemplars that are not in `told`; and all exemplars that they have."""
    known = frozenset(found for point in points for found in point.exemplars if found is not None)
    if not known:
        return points, told
    fresh = [
        replace(p, exemplars=tuple(None if e in told else e for e in p.exemplars))
        if p.exemplars
        else p
        for p in points
    ]
    return fresh, known


def pushers(
    env: Mapping[str, str],
    resource: Resource,
    folder: Path | None,
    *,
    successor: bool,
) -> tuple[list[Pusher], list[str]]:
    """One pusher for each push exporter that `env` names, and one sentence for each that fails.

    What a successor has to know is kept in `folder`; None where there is none. Raises ExporterError.
    """
    preference = env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative")
    delta = preference.strip().lower() in ("delta", "lowmemory")
    made, problems = [], []
    for name in exporter_names(env):
        if name == "prometheus":
            continue
        try:
            made.append(_pusher(name, resource, folder, delta=delta, successor=successor))
        except ExporterError as error:
            problems.append(f"{error}; nothing is sent that way")
        except Exception as error:
            problems.append(f"the exporter {name!r} cannot be used: {error}")
    return made, problems


def _pusher(
    name: str, resource: Resource, folder: Path | None, *, delta: bool, successor: bool
) -> Pusher:
    received = folder / f"received-{name}" if folder else None
    if delta and name.startswith("otlp"):
        sent = Acknowledged(folder / f"acknowledged-{name}" if folder else None)
        return Pusher(exporter_maker(name)(), resource, received, sent)
    if name == "otlp_proto_http":
        session, adapter = watched_session()
        exporter = load_exporter(name)(session=session)
        return Pusher(exporter, resource, received, None, adapter, successor=successor)
    return Pusher(load_exporter(name)(), resource, received)
