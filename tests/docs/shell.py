"""One `sh` for a page, which goes on from block to block as a reader's terminal does."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import psutil

from otel_accubooks.stack.process import Server

POLL_SECONDS = 0.02
COMMAND_SECONDS = 240.0
SERVER_SECONDS = 60.0
STOP_SECONDS = 5.0


class CommandError(AssertionError):
    """A command of a page ended badly, or not at all, or was no complete command."""


def commands(block: str) -> list[str]:
    """The block's commands one by one; one that goes on over several lines is one."""
    found: list[str] = []
    pending = ""
    for line in block.splitlines():
        pending += line + "\n"
        if not pending.strip() or _is_comment(pending):
            pending = ""
        elif not line.endswith("\\") and _complete(pending):
            found.append(pending)
            pending = ""
    if pending.strip():
        raise CommandError(f"not a complete command:\n{pending}")
    return found


def _is_comment(text: str) -> bool:
    return text.lstrip().startswith("#") and "\n" not in text.strip()


def _complete(text: str) -> bool:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    return done.returncode == 0 and not done.stderr


class Shell:
    """A POSIX shell that is given commands one after the other; `folder` has what they write.

    As a context manager it leaves nothing running of what was started in it.
    """

    def __init__(self, folder: Path, cwd: Path, env: Mapping[str, str]) -> None:
        self._folder, self._numbers = folder, itertools.count()
        self._servers: dict[str, Background] = {}
        folder.mkdir(parents=True)
        self._pipe = folder / "commands"
        os.mkfifo(self._pipe)
        self._server = Server(
            "the page's shell",
            ["sh", str(self._pipe)],
            log=folder / "shell.log",
            cwd=cwd,
            env=env,
            ready=lambda: True,
        )

    def __enter__(self) -> Shell:
        self._server.start()
        self._input = open(self._pipe, "w")  # the shell opens its end
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in reversed(self._servers.values()):
            server.stop()
        self._input.close()
        self._server.stop(timeout=2)

    def run(self, command: str) -> tuple[int, str]:
        """Exit status and output, both kinds in one. Raises CommandError if it does not end."""
        out, status = self._files()
        self._tell(f"{{ {command.rstrip()}\n}} > {out} 2>&1\necho $? > {status}.new; ", status)
        self._wait(status.exists, COMMAND_SECONDS, command, out)
        return int(status.read_text()), out.read_text(errors="replace")

    def start(self, name: str, command: str, ready: Callable[[Background], bool]) -> None:
        """Starts what goes on until it is stopped. What had the same name is stopped before."""
        if name in self._servers:
            self._servers.pop(name).stop()
        out, status = self._files()
        self._tell(f"{{ {command.rstrip()}\n}} > {out} 2>&1 &\necho $! > {status}.new; ", status)
        self._wait(status.exists, COMMAND_SECONDS, command, out)
        server = Background(command, psutil.Process(int(status.read_text())), out)
        self._servers[name] = server
        self._wait(lambda: not server.running or ready(server), SERVER_SECONDS, command, out)
        server.check()

    def check(self) -> None:
        """Raises CommandError if something that was to go on has ended."""
        for server in self._servers.values():
            server.check()

    def _files(self) -> tuple[Path, Path]:
        number = next(self._numbers)
        return self._folder / f"{number}.out", self._folder / f"{number}.status"

    def _tell(self, text: str, status: Path) -> None:
        self._input.write(f"{text}mv {status}.new {status}\n")
        self._input.flush()

    def _wait(self, for_it: Callable[[], bool], limit: float, command: str, out: Path) -> None:
        give_up = time.monotonic() + limit
        while not for_it():
            if not self._server.running:
                raise CommandError(f"ended the shell: {command}\n{self._server.log_tail()}")
            if time.monotonic() > give_up:
                shown = out.read_text(errors="replace") if out.exists() else ""
                raise CommandError(
                    f"still runs, or is not ready, after {limit:g} s: {command}\n{shown}"
                )
            time.sleep(POLL_SECONDS)


class Background:
    """A server that a page has started."""

    def __init__(self, command: str, process: psutil.Process, out: Path) -> None:
        self._command, self._process, self._out = command, process, out

    @property
    def said(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return _runs(self._process)

    def check(self) -> None:
        if not self.running:
            raise CommandError(f"ended by itself: {self._command}\n{self.said[-3000:]}")

    def stop(self) -> None:
        """Asks it to end, then all that it started, and ends what is left of them."""
        if not self.running:
            return
        # The shell may have become the command, or have it as its child.
        family = [self._process, *self._process.children(recursive=True)]
        for asked in ([self._process, *self._process.children()], family):
            for one in asked:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.terminate()
            give_up = time.monotonic() + STOP_SECONDS
            while any(map(_runs, family)) and time.monotonic() < give_up:
                time.sleep(POLL_SECONDS)
            if not any(map(_runs, family)):
                return
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended; its parent, the page's shell, does not ask for a while."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
