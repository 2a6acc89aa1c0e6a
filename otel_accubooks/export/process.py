"""The exporter: a small process of its own, one for each service on a host.

It adds up what the service's processes recorded and sends it. It ends after the last of them, with the
last counts sent. Whoever holds the exporter's lock is it; the kernel releases the lock on death.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import threading
import time
from typing import TYPE_CHECKING

from otel_accubooks.export.all_hosts import NumbersFile, SharedUsers
from otel_accubooks.export.collection import Collection
from otel_accubooks.export.exporters import exporter_names
from otel_accubooks.export.home import Home
from otel_accubooks.export.host import Host
from otel_accubooks.export.ratios import Windows
from otel_accubooks.export.settings import (
    DEFAULT_INTERVAL_MS,
    NO_USERS_REDIS,
    interval_seconds,
    longest_export_seconds,
    users_redis,
)
from otel_accubooks.export.shared import Shared
from otel_accubooks.export.status import Status
from otel_accubooks.export.time_limit import time_limit
from otel_accubooks.recorder.family import overflow_said, overflow_text
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.locks import ExporterLock
from otel_accubooks.recorder.pacing import pause
from otel_accubooks.recorder.sweeping import sweep, sweep_abandoned
from otel_accubooks.recorder.totals import Point, Totals

if TYPE_CHECKING:
    from otel_accubooks.export.scraped import Page
    from otel_accubooks.export.sending import Pusher
    from otel_accubooks.recorder.reader import SegmentReader

_log = logging.getLogger("otel_accubooks")

LIVENESS_SECONDS = 1.0
LAST_ATTEMPTS_SECONDS = 30.0
HANDING_OVER_SECONDS = 3 * LIVENESS_SECONDS
SWEEP_SECONDS = 3600.0


class Exporter:
    """Collects and sends until the service has ended."""

    def __init__(self, folder: StateFolder, lock: ExporterLock) -> None:
        """`lock` is the exporter's, and held."""
        self._folder = folder
        self._status = Status(folder.path / "status")
        self._folding = Folding(folder, self._status.note, lock.is_there, pause)
        self._host = Host(folder.path / "host")
        self._shared = Shared(folder.path / "shared")
        windows = Windows(self._shared.past())
        self._collection = Collection(self._folding.reader, self._host, windows, pause)
        self._reading = threading.Lock()
        self._pushers: list[Pusher] = []
        self._page: Page | None = None
        self._users: SharedUsers | None = None
        self._interval = DEFAULT_INTERVAL_MS / 1000
        self._longest = longest_export_seconds(os.environ)
        self._incomplete = False
        self._successor = folder.socket.exists()
        self._home = Home(folder, lock)
        self._sweep_at = 0.0
        self._arrived: list[Point] | None = None
        self._base: SegmentReader | None = None  # before that was collected

    def configure(self) -> None:
        """Makes the exporters that the environment names; what is wrong goes into the status."""
        try:
            self._interval = interval_seconds(os.environ)
        except ValueError:
            pass  # the application's processes say so
        if "service.name" not in service_identity(os.environ):
            self._status.say(
                "name",
                "OTEL_SERVICE_NAME is not set: applications without a name on one host are added "
                "together; set it to a name of this application",
            )
        self._share_users()
        try:
            if names := exporter_names(os.environ):
                self._make_exporters(names)
        except Exception as error:
            self._incomplete = True
            self._status.say("exporters", f"metrics are not sent: {error}")

    def _share_users(self) -> None:
        try:
            url = users_redis(os.environ)
        except ValueError:
            return  # the application's processes say so
        if url is None:
            return
        file = NumbersFile(self._folder.path / "hosts")
        try:
            self._users = self._collection.hosts = SharedUsers(url, os.environ, file)
        except ImportError:
            self._status.say(
                "users",
                "OTEL_ACCUBOOKS_REDIS_URL is set, but the package redis is not installed: "
                "pip install redis; until then users are counted for each host alone",
            )
        except ValueError:
            self._status.say("users", NO_USERS_REDIS)

    def _make_exporters(self, names: list[str]) -> None:
        # Imported only here: where nothing is to be sent, this process only keeps the counts.
        from otel_accubooks.export.resource import instance_id, resource_for
        from otel_accubooks.export.sending import pushers

        self._folding.reader.look()
        origin = self._folding.reader.origin()
        resource = resource_for(instance_id(self._folder.path, origin))
        self._pushers, problems = pushers(
            os.environ, resource, self._folder.path, successor=self._successor
        )
        self._status.say("exporters", "; ".join(problems) or None)
        if "prometheus" in names:
            from otel_accubooks.export.scraped import Page

            self._page = Page(os.environ, resource, self._collect)
        self._incomplete = not self._pushers and self._page is None

    def _serve_page(self) -> None:
        if self._page is not None:
            self._status.say("page", self._page.serve())

    def _collect(self) -> list[Point]:
        with self._reading:
            self._folding.fold()
            pause()
            points = self._collection.collect()
            collected = self._collection
            self._folding.keep_sessions(collected.totals, collected.sessions, collected.now)
            if self._users is not None:
                self._status.say("users", self._users.problem)
            of_host = [point for point in points if point.metric.group == "system"]
            self._shared.write(of_host, self._collection.windows.past, self._interval)
            self._note(collected.totals)
            return points

    def _note(self, totals: Totals) -> None:
        limit = self._folding.reader.limit()
        for name in self._folding.reader.exceeded:
            if self._folder.first_to_say(overflow_said(name)):
                self._status.note(overflow_text(name, limit, "this service"))
        for name in totals.foreign:
            self._status.note(
                f"{name}: what another version of this package counted in another shape is left out"
            )

    def send(self) -> bool:
        """Collects and sends once; True if every receiver acknowledged. Never raises."""
        self._status.listen()
        base = self._folding.reader.base
        try:
            points = self._collect()
            results = [self._send_by(pusher, points) for pusher in self._pushers]
        except Exception as error:
            _log.warning("%s", error)
            self._status.sent(False)
            return False
        if self._incomplete:
            return False
        self._status.sent(all(results))
        if all(results):
            self._arrived, self._base = points, base
        return all(results)

    def _send_by(self, pusher: Pusher, points: list[Point]) -> bool:
        try:
            with time_limit(self._longest):
                return pusher.send(points)
        except TimeoutError as error:
            _log.warning("%s", error)
            return False

    def _all_arrived(self) -> bool:
        return self._arrived is not None and _counts(self._collect()) == _counts(self._arrived)

    def _service_lives(self) -> bool:
        with self._reading:
            return bool(self._folding.fold()) or bool(self._collection.roots())

    def run(self) -> None:
        """Sends every interval and whenever asked, until no process of the service is left."""
        self._await_predecessor()
        due = time.monotonic()
        while True:
            if not self._home.is_whole():
                if not self._mend():
                    return
                if self._home.is_whole():
                    due = time.monotonic()
            self._sweep()
            self._serve_page()
            if time.monotonic() >= due:
                self.send()
                due = time.monotonic() + self._interval
            wait = min(LIVENESS_SECONDS, max(0.0, due - time.monotonic()))
            if select.select([self._home.listener], [], [], wait)[0]:
                self._answer()
            elif not self._service_lives() and self._leave():
                return

    def _await_predecessor(self) -> None:
        """Sends nothing before it has what was there before, under the same instance: a total falls not."""
        give_up = time.monotonic() + HANDING_OVER_SECONDS
        try:
            while self._folding.awaits_predecessor() and time.monotonic() < give_up:
                if select.select([self._home.listener], [], [], 0.05)[0]:
                    return  # somebody ends, and waits for it
        except OSError:
            pass  # deleted again

    def _mend(self) -> bool:
        """Makes the folder anew, which was deleted. False if another exporter is at work there."""
        try:
            if not self._home.mend():
                self._hand_over()
                return False
            self._status.write()
            self._host.keep()
        except OSError:
            time.sleep(LIVENESS_SECONDS)  # all is held in memory, and sent from there
        return True

    def _hand_over(self) -> None:
        """Gives the exporter that was elected in the new folder what is in no file any more."""
        while not self._handed_over():
            time.sleep(LIVENESS_SECONDS)

    def _handed_over(self) -> bool:
        with self._reading:
            return self._folding.hand_over()

    def _sweep(self) -> None:
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_SECONDS
            sweep(self._folder)
            sweep_abandoned(self._folder)

    def _answer(self) -> None:
        with self._home.listener.accept()[0] as asker:
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
            if self._incomplete:
                break  # whom to send to is not known, and will not be
            time.sleep(LIVENESS_SECONDS)
            if not self._home.is_whole() and not self._mend():
                return True
            if self._service_lives():
                return False
        try:
            with self._folder.membership(leaving=True):
                if self._service_lives() or (sent and not self._nobody_came()):
                    return False
                if sent:
                    self._folder.remove()
        except OSError as error:
            return error.errno != errno.EBUSY  # else removed already; but somebody is joining
        return True

    def _nobody_came(self) -> bool:
        """True unless somebody lived and died while the last counts were sent."""
        reader = self._folding.reader
        unchanged = reader.base is self._base and not reader.readers
        return unchanged or self._all_arrived()


def _counts(points: list[Point]) -> list[tuple[float, list[float]]]:
    """What the service itself counted: equal only where nothing was counted in between."""
    ours = (p for p in points if p.metric.type != "gauge" and p.metric.group != "system")
    return sorted((p.value, p.counts) for p in ours)
