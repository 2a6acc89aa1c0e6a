"""One child process of ours: started, polled until it is ready, stopped. Its output: one log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from otel_accubooks.stack import guard

if TYPE_CHECKING:
    from typing_extensions import Self

POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 15


class StartError(RuntimeError):
    """A server did not start: the message names it, says why, and ends with its last log lines."""


class _Guard:
    """The one process that ends our children if we die before we could (see `guard`)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe = -1
        self._owner = 0

    def add(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        with self._lock:
            # A forked child of ours must not speak for its parent: it gets a guard of its own.
            if self._owner != os.getpid():
                self._pipe = self._start()
                self._owner = os.getpid()
            os.write(self._pipe, line.encode())

    @staticmethod
    def _start() -> int:
        read, write = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # It is to outlive us: without this, Python warns at our end that it is still running.
        process.returncode = 0
        os.close(read)
        return write


_guard = _Guard()


class Server:
    """A child process in a session of its own, so that a Ctrl-C reaches it through us alone.

    `ready` is polled until it is true. `log` is appended to. `env` replaces the environment if it
    is given. `user` is the operating system user to run as (needs root). `stop_signal` is what
    `stop` asks politely with. However this Python process ends, the child's process group is ended.
    """

    def __init__(
        self,
        name: str,
        argv: list[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool],
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.argv = argv
        self.log = log
        self.env = env
        self.cwd = cwd
        self.ready = ready
        self.user = user
        self.stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None
        # The process group that we are still answerable for: a number may be another's afterwards.
        self._group: int | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Its process id, also after its end. Raises RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """True from start until the child has ended, whoever ended it."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 30) -> Self:
        """Start it and wait until it is ready; nothing happens if it is running already.

        Raises StartError if there is no such program, it ends, or is not ready in `timeout` s.
        """
        if self.running:
            return self
        self.kill()  # what an earlier life that ended by itself may have left in its group
        deadline = time.monotonic() + timeout
        try:
            process = self._spawn()
            while not self._is_ready():
                status = process.poll()
                if status is not None:
                    raise self._error(f"ended with status {status}")
                if time.monotonic() > deadline:
                    raise self._error(f"was not ready after {timeout:g} s")
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, timeout: float = 10) -> None:
        """Ask it to end; after `timeout` seconds, end its whole process group with SIGKILL."""
        if self._process is None or self._group is None:
            return
        self._process.send_signal(self.stop_signal)
        deadline = time.monotonic() + timeout
        # Its own children too get the time that is left: they may be writing their last words.
        while time.monotonic() < deadline and (self.running or _group_alive(self._group)):
            time.sleep(POLL_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End its whole process group with SIGKILL, as an outage does; nothing if it has ended."""
        if self._process is None or self._group is None:
            return
        guard.signal_group(self._group, signal.SIGKILL)
        self._process.wait()
        _guard.remove(self._group)
        self._group = None

    def log_tail(self, lines: int = LOG_LINES_SHOWN) -> str:
        """The last lines that it wrote since it was last started."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._log_start)
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log, _undisturbed():
            self._log_start = log.tell()
            try:
                process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.env,
                    cwd=self.cwd,
                    start_new_session=True,
                    **_identity(self.user),
                )
            except OSError as error:
                raise StartError(f"{self.name}: cannot run {self.argv[0]}: {error}") from error
            self._process, self._group = process, process.pid
            _guard.add(process.pid)
        return process

    def _is_ready(self) -> bool:
        try:
            return self.ready()
        except OSError:
            return False

    def _error(self, what: str) -> StartError:
        tail = self.log_tail() or "(nothing)"
        return StartError(f"{self.name} {what}; the end of its log {self.log}:\n{tail}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Puts off what a signal's handler raises: a child that nobody knows of yet would outlive us."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    put_off: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in ours:
        signal.signal(number, lambda *came: put_off.append(came))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
    for came, frame in put_off:
        ours[signal.Signals(came)](came, frame)


def _identity(user: str | None) -> dict[str, Any]:
    """What Popen needs to become `user` with that user's groups; raises StartError if unknown."""
    if user is None:
        return {}
    import grp
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise StartError(f"there is no operating system user {user!r}: create it") from None
    extra = [group.gr_gid for group in grp.getgrall() if user in group.gr_mem]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": extra}


def _group_alive(group: int) -> bool:
    """True if the process group has a member that is not a zombie (zombies may stay for ever)."""
    if not guard.signal_group(group, 0):
        return False
    import psutil

    for process in psutil.process_iter(["status"]):
        try:
            in_group = os.getpgid(process.pid) == group
        except ProcessLookupError:
            continue
        if in_group and process.info["status"] != psutil.STATUS_ZOMBIE:
            return True
    return False
