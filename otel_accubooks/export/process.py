"""The exporter: a small process of its own, one for each service on a host.

It adds up what the service's processes recorded and sends it. It ends after the last of them, with the
last counts sent. Whoever holds the exporter's lock is it; the kernel releases the lock on death.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time

from otel_accubooks.export.collection import Collection
from otel_accubooks.export.host import Host
from otel_accubooks.export.resource import instance_id, resource_for
from otel_accubooks.export.sending import (
    Pusher,
    exporter_names,
    pushers,
    serve_prometheus,
)
from otel_accubooks.export.settings import DEFAULT_INTERVAL_MS, interval_seconds
from otel_accubooks.export.status import Status
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Point

_log = logging.getLogger("otel_accubooks")

LIVENESS_SECONDS = 1.0
LAST_ATTEMPTS_SECONDS = 30.0


class Exporter:
    """Collects and sends until the service has ended."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._folding = Folding(folder)
        host = Host(folder.path / "host")
        self._collection = Collection(ServiceReader(folder), host)
        self._reading = threading.Lock()
        self._status = Status(folder.path / "status")
        self._pushers: list[Pusher] = []
        self._interval = DEFAULT_INTERVAL_MS / 1000
        self._incomplete = False
        self._successor = folder.socket.exists()
        self._listener = _listen(folder)
        self._arrived: list[tuple[float, list[float]]] | None = None

    def configure(self) -> None:
        """Makes the exporters that the environment names; what is wrong goes into the status."""
        try:
            self._interval = interval_seconds(os.environ)
        except ValueError:
            pass  # the application's processes say so
        if "service.name" not in service_identity(os.environ):
            self._status.say(
                "OTEL_SERVICE_NAME is not set: applications without a name on one host are added "
                "together; set it to a name of this application"
            )
        resource = resource_for(instance_id(self._folder.path))
        try:
            names = exporter_names(os.environ)
            self._pushers = pushers(
                os.environ, resource, self._folder.path, successor=self._successor
            )
            if "prometheus" in names:
                serve_prometheus(os.environ, resource, self._collect)
        except Exception as error:
            self._incomplete = True
            self._status.say(f"metrics are not sent: {error}")

    def _collect(self) -> list[Point]:
        with self._reading:
            self._folding.fold()
            return self._collection.collect()

    def send(self) -> bool:
        """Collects and sends once; True if every receiver acknowledged. Never raises."""
        self._status.listen()
        try:
            points = self._collect()
            results = [pusher.send(points) for pusher in self._pushers]
        except Exception as error:
            _log.warning("%s", error)
            self._status.sent(False)
            return False
        if self._incomplete:
            return False
        self._status.sent(all(results))
        if all(results):
            self._arrived = _counts(points)
        return all(results)

    def _all_arrived(self) -> bool:
        return _counts(self._collect()) == self._arrived

    def _service_lives(self) -> bool:
        with self._reading:
            return bool(self._folding.fold()) or bool(self._collection.roots())

    def run(self) -> None:
        """Sends every interval and whenever asked, until no process of the service is left."""
        due = time.monotonic()
        while True:
            if time.monotonic() >= due:
                self.send()
                due = time.monotonic() + self._interval
            wait = min(LIVENESS_SECONDS, max(0.0, due - time.monotonic()))
            if select.select([self._listener], [], [], wait)[0]:
                self._answer()
            elif not self._service_lives() and self._leave():
                return

    def _answer(self) -> None:
        with self._listener.accept()[0] as asker:
            try:
                asker.sendall(b"1" if self.send() else b"0")
            except OSError:
                pass  # whoever asked has gone; the counts were sent all the same

    def _leave(self) -> bool:
        """Sends the last counts and removes the folder; False if the service lives again.

        Where nobody acknowledges, the folder stays, and the next start of the service sends it.
        """
        give_up = time.monotonic() + LAST_ATTEMPTS_SECONDS
        while not (sent := self._all_arrived() or self.send()) and time.monotonic() < give_up:
            time.sleep(LIVENESS_SECONDS)
            if self._service_lives():
                return False
        try:
            with self._folder.membership(leaving=True):
                if self._service_lives():
                    return False
                if sent:
                    self._folder.remove()
        except OSError:
            pass  # removed already, or joined while it was being removed: the rest is of no use
        return True


def _counts(points: list[Point]) -> list[tuple[float, list[float]]]:
    """What the service itself counted: equal only where nothing was counted in between."""
    ours = (p for p in points if p.metric.type != "gauge" and p.metric.group != "system")
    return sorted((p.value, p.counts) for p in ours)


def _listen(folder: StateFolder) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # A path through the descriptor, since a socket's own may have 108 bytes at most.
        folder.socket.unlink(missing_ok=True)
        listener.bind(f"/proc/self/fd/{fd}/{folder.socket.name}")
    finally:
        os.close(fd)
    listener.listen(64)
    return listener
