"""Sending from this process itself, where there is no folder that it could share with others.

What it keeps in its own memory goes under an instance id of its own. What is shared later begins at 0,
and goes under the service's: so nothing is told twice.
"""

from __future__ import annotations

import mmap
import os
import uuid
from collections.abc import Callable
from functools import partial
from logging import getLogger

from otel_accubooks.recorder.files import SPARE_DESCRIPTORS, check_descriptors
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.unpatched import allocate_lock

_log = getLogger("otel_accubooks")

LOOK_SECONDS = 2.0
NEEDED_BYTES = 64 * 1024 * 1024  # of address space, the stack of a thread among them
_NEEDED = (
    f"it never had the {NEEDED_BYTES // 2**20} MiB of address space (ulimit -v) and the "
    f"{SPARE_DESCRIPTORS} descriptors (ulimit -n) that it takes"
)
LAST_SECONDS = 1.5  # counts are worth more than the share of spans


def send_what_is_alone(interval: float) -> None:
    """Has each process that begins to keep values in its own memory send them, each `interval` seconds."""
    recorder.on_memory(partial(begin, interval))


def begin(interval: float) -> None:
    """In a process that began to keep values in its memory: sends them from now on.

    Where there is no room for that it waits for some. Mostly there is later, and then all is shared.
    """
    from otel_accubooks.instrument.polling import polls
    from otel_accubooks.launch.process_end import at_end

    waiting = {os.getpid()}

    def attempt() -> None:
        if os.getpid() in waiting and recorder.memory is not None and _room():
            waiting.clear()
            _begin(interval)

    def last(_: float) -> None:
        # What sends cannot be imported any more, since the interpreter is ending.
        recorder.rejoin()
        if waiting and recorder.memory is not None:
            _log.warning(
                "otel-accubooks: what process %d counted is not sent: %s", *waiting, _NEEDED
            )

    attempt()
    if waiting:
        polls.add_everywhere(f"sending alone from {os.getpid()}", attempt, LOOK_SECONDS)
        at_end(last)


def _begin(interval: float) -> None:
    from otel_accubooks.instrument.polling import in_background
    from otel_accubooks.launch.process_end import at_end

    alone = Alone(interval)
    alone.waits = in_background(alone.run)
    at_end(alone.end)


def _room() -> bool:
    # The application may need what is left: sending takes descriptors, and imports the SDK.
    try:
        check_descriptors()
        mmap.mmap(-1, NEEDED_BYTES).close()
    except OSError:
        return False
    return True


class Alone:
    """Sends what one process keeps in memory, each `interval` seconds, as long as it is there."""

    def __init__(self, interval: float) -> None:
        # In the thread that records: a process that is forked while another thread imports would
        # wait for that import for ever.
        from opentelemetry.sdk.resources import Resource

        from otel_accubooks.export.collection import Collection
        from otel_accubooks.export.exporters import exporter_names
        from otel_accubooks.export.host import Host
        from otel_accubooks.export.resource import INSTANCE_ID, resource_for
        from otel_accubooks.export.sending import pushers
        from otel_accubooks.launch.arrival import watch
        from otel_accubooks.launch.per_process import prepare_for_forks
        from otel_accubooks.recorder.memory import MemoryReader

        prepare_for_forks()
        self._interval = interval
        self._memory = recorder.memory
        self._collection = Collection(MemoryReader(recorder), Host())
        mine = resource_for(str(uuid.uuid4()))
        # One that was given belongs to all processes, who would overwrite each other's numbers.
        instance = f"{mine.attributes[INSTANCE_ID]!s}-{uuid.uuid4().hex[:8]}"
        resource = mine.merge(Resource({INSTANCE_ID: instance}))
        self._pushers, problems = pushers(os.environ, resource, None, successor=False)
        for pusher in self._pushers:
            watch(pusher.exporter, "metrics", "METRICS", "they are sent once it answers")
        if "prometheus" in exporter_names(os.environ):
            from otel_accubooks.export.scraped import Page

            problems += [Page(os.environ, resource, self._collection.collect).serve() or ""]
        for problem in filter(None, problems):
            _log.warning("otel-accubooks: %s", problem)
        self.waits = False
        self._wake, self._ended = allocate_lock(), allocate_lock()
        self._wake.acquire()
        self._ended.acquire()
        self._ending = False

    def run(self, _: Callable[[float], None]) -> None:
        """Sends now and then, until this process ends or all is shared and told."""
        while not self._ending:
            self._wake.acquire(True, self._interval)
            over = recorder.memory is not self._memory
            if self.send() and over:
                break
        self._ended.release()

    def end(self, seconds: float) -> None:
        """Sends for the last time; waits LAST_SECONDS at most for a thread that does."""
        self._ending = True
        if self.waits:
            self._wake.release()
            self._ended.acquire(True, max(seconds, LAST_SECONDS))
        else:
            self.send()

    def send(self) -> bool:
        """Collects and sends once; True if every receiver acknowledged. Never raises."""
        shared = recorder.memory_to_tell() is not self._memory
        if self._memory is None or not self._memory.told:
            return True  # all of it went to the others before it was told
        try:
            points = self._collection.collect()
            if shared:  # the rest is told by the others
                points = [
                    p for p in points if p.metric.type != "gauge" and p.metric.group != "system"
                ]
            results = [pusher.send(points) for pusher in self._pushers]
            return all(results)
        except Exception as error:
            from otel_accubooks.launch.arrival import say_once

            say_once("alone", f"metrics are not sent: {error}")
            return False
