"""Asking others (a server for its memory, a queue for its depth) in the background.

One thread for each process asks; for each target one process of the service, elected by a lock. The
answers go into the segment of that process. Nothing here waits in a request.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from hashlib import blake2b
from time import monotonic, time

from otel_accubooks.contract.unsent import CHECK_SECONDS, TARGET_ANSWERED_AT, TARGET_HEALTHY
from otel_accubooks.instrument.guard import say_failed
from otel_accubooks.recorder.files import check_descriptors
from otel_accubooks.recorder.locks import ServiceLock
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.unpatched import sleep, start_new_thread

TICK_SECONDS = 0.5
LOOK_SECONDS = 1.0
DEFAULT_INTERVAL_SECONDS = 15.0


class Poll:
    """One question. `ask` has a time limit of its own and raises where nobody answers."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], None],
        every: float | None,
        component: str | None = None,
        *,
        elected: bool,
    ) -> None:
        self.name = name
        self.ask = ask
        self.every = every
        self.component = component
        self.elected = elected
        self.due = 0.0
        self.lock: ServiceLock | None = None


class Polls:
    """The questions of this process, and the thread that asks them."""

    def __init__(self) -> None:
        self.interval = DEFAULT_INTERVAL_SECONDS
        self.threadless = False
        self._polls: dict[str, Poll] = {}
        self._running_in = 0
        self._anew_in = 0
        self._look_at = 0.0

    def add(
        self,
        name: str,
        ask: Callable[[], None],
        component: str | None = None,
        every: float | None = None,
    ) -> None:
        """Asks each `every` seconds (default: the interval), in one process of the service.

        `name` tells targets apart, such as "cache redis 10.0.0.1:6379/0"; adding it again is nothing.
        Of a `component` (database, cache or queue) a failure is ill health, and checks are frequent.
        """
        self._polls.setdefault(name, Poll(name, ask, every, elected=True, component=component))

    def forget(self, name: str) -> None:
        """Asks no more: what `name` stands for is not used in this process any longer."""
        poll = self._polls.pop(name, None)
        if poll is not None and poll.lock is not None:
            if poll.component is not None and poll.lock.held:
                recorder.gauge(TARGET_ANSWERED_AT).labels(poll.component, name).set(-1.0)
                recorder.gauge(TARGET_HEALTHY).labels(poll.component, name).set(1.0)
            poll.lock.forget()

    def add_everywhere(self, name: str, ask: Callable[[], None], every: float) -> None:
        """Calls `ask` in every process, each `every` seconds."""
        self._polls.setdefault(name, Poll(name, ask, every, elected=False))

    def start(self) -> None:
        """Starts the thread, in a process that has none yet: at first, and after a fork.

        Where none may run, the process is `threadless`.
        """
        if self._running_in == os.getpid():
            return
        self.threadless = not threads_run()
        if self.threadless:
            return
        self._running_in = os.getpid()
        if self._anew_in != os.getpid():
            self._anew_in = os.getpid()
            for poll in self._polls.values():
                if poll.lock is not None:
                    poll.lock.forget()  # inherited: the lock itself stays the parent's
                poll.lock, poll.due = None, 0.0
        try:
            "".encode("idna")  # a name look-up imports this: not in a thread, beside a fork
            start_new_thread(self._run, (os.getpid(),))
        except (RuntimeError, OSError, LookupError):
            # No thread, or no descriptor, is to be had: requests look after things meanwhile.
            self._running_in, self.threadless = 0, True

    def run_threadless(self) -> None:
        """In a threadless process: what a thread would do, but for what asks others. Never raises.

        At most once a second; the thread is started instead where one may run by now.
        """
        now = monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        self.start()
        if self.threadless:
            for poll in list(self._polls.values()):
                if not poll.elected and now >= poll.due:
                    self._run_one(poll)

    def _run(self, pid: int) -> None:
        while self._running_in == pid:
            for poll in list(self._polls.values()):
                if monotonic() >= poll.due:
                    self._run_one(poll)
            sleep(TICK_SECONDS)

    def _run_one(self, poll: Poll) -> None:
        try:
            self._ask(poll)
        except Exception:  # the others go on being asked
            say_failed(f"asking for {poll.name}")

    def _ask(self, poll: Poll) -> None:
        try:
            if poll.component is None or not poll.due:  # else it has its connection
                check_descriptors()
        except OSError:
            return  # the next look may find more
        poll.due = monotonic() + (poll.every or self._usual(poll))
        try:
            if poll.elected and not self._elect(poll):
                poll.due = min(poll.due, monotonic() + self._usual(poll))  # whoever asks may die
                return
        except OSError:
            pass  # no folder: told by the recorder, and each process asks for itself
        try:
            poll.ask()
            answered = True
        except Exception:
            answered = False
            if poll.component is None:
                say_failed(poll.name)
        if poll.component is not None and poll.name in self._polls:
            series = poll.component, poll.name
            if answered:
                recorder.gauge(TARGET_ANSWERED_AT).labels(*series).set(time())
            recorder.gauge(TARGET_HEALTHY).labels(*series).set(float(answered))

    def _usual(self, poll: Poll) -> float:
        return self.interval if poll.component is None else min(self.interval, CHECK_SECONDS)

    def _elect(self, poll: Poll) -> bool:
        if poll.lock is None and recorder.folder is not None:
            digest = blake2b(poll.name.encode("utf-8", "replace"), digest_size=8).hexdigest()
            poll.lock = ServiceLock(recorder.folder, f"poll-{digest}")
        return poll.lock is not None and poll.lock.take()


def threads_run() -> bool:
    """False where a native thread makes a process hang: uWSGI without --enable-threads, its master.

    uWSGI forks workers without holding the interpreter's lock, which a thread may hold just then.
    """
    if "uwsgi" not in os.path.basename(sys.executable or "") and "uwsgi" not in sys.modules:
        return True
    try:
        # The server's own module, which cannot be imported before it loads the application.
        server = importlib.import_module("uwsgi")
    except ImportError:
        return False
    options = server.opt
    return server.worker_id() > 0 and ("enable-threads" in options or "threads" in options)


def in_background(run: Callable[[Callable[[float], None]], None]) -> bool:
    """Calls `run(sleep)` in a native thread of this process; False where none may run."""
    if not threads_run():
        return False
    start_new_thread(run, (sleep,))
    return True


polls = Polls()
