"""From the application's process: starting the exporter, asking it to send, hearing what it says.

Nothing here imports the SDK: what sends is another process.
"""

from __future__ import annotations

import _socket  # which nobody patches
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from otel_accubooks.export.address import reachable
from otel_accubooks.recorder.files import replace_file
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.locks import ExporterLock
from otel_accubooks.recorder.unpatched import posix_spawn, waitpid

ASK_SECONDS = 1.5

_started: list[int] = []


def python() -> str:
    """The interpreter: sys.executable, except where Python lives in a server such as uWSGI."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    inside = (os.path.join(sys.prefix, "bin", name) for name in (version, "python3", "python"))
    named = sys.executable or ""
    candidates = [named] if "python" in os.path.basename(named) else [*inside, named]
    return next((path for path in candidates if os.access(path, os.X_OK)), version)


# The child leaves at once, so that the exporter is nobody's child and is never waited for; it closes
# what it inherits, since a listening socket kept open would outlive its server.
_PROGRAM = """
import os, sys
if os.fork(): os._exit(0)
os.setsid()
try: fds = [int(fd) for fd in os.listdir("/dev/fd")]
except OSError: fds = range(4096)
for fd in fds:
    try: fd > 2 and os.close(fd)
    except OSError: pass
os.chdir("/")
sys.path[:] = sys.argv[2:]
from otel_accubooks.export.main import main
sys.exit(main(sys.argv[1]))
"""


_locks: dict[Path, ExporterLock] = {}


def exporter_runs(folder: StateFolder) -> bool:
    """True while some process holds the exporter's lock, also that of a folder that was deleted."""
    return _locks.setdefault(folder.path, ExporterLock(folder)).is_held_elsewhere()


def start_exporter(folder: StateFolder) -> None:
    """Starts an exporter; where several do so at once, the lock picks one. Raises OSError."""
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    executable = python()
    argv = [executable, "-S", "-E", "-c", _PROGRAM, str(folder.path), *path]
    # What is named in OTEL_METRICS_EXPORTER=console is the application's own.
    closed = (0, 2) if _prints(os.environ) else (0, 1, 2)
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in closed]
    files = [*null, *((os.POSIX_SPAWN_CLOSE, fd) for fd in _handed_down())]
    usual = [s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]
    pid = posix_spawn(
        executable, argv, os.environ, file_actions=files, setsigmask=(), setsigdef=usual
    )
    _started.append(pid)


def reap() -> None:
    """Takes note of the end of what `start_exporter` started: the interpreter leaves soon. Never waits."""
    for pid in [*_started]:
        try:
            ended = waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            ended = True  # the server reaps every child itself, or it is a child of our parent
        if ended:
            _started.remove(pid)


def _handed_down() -> list[int]:
    """The descriptors, beyond the usual three, that a child of this process would have."""
    found: list[int] = []
    try:
        names = os.listdir("/dev/fd")
    except OSError:
        return found  # the child closes what it finds
    for name in names:
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:
            pass  # closed meanwhile
    return found


def _prints(env: Mapping[str, str]) -> bool:
    return "console" in (n.strip() for n in env.get("OTEL_METRICS_EXPORTER", "").split(","))


def ask_to_send(folder: StateFolder, seconds: float = ASK_SECONDS) -> bool:
    """Asks the exporter to send now, and waits for it, so long at most. True if it arrived."""
    give_up = monotonic() + seconds
    while (left := give_up - monotonic()) > 0:
        try:
            return _ask(folder, left)
        except (FileNotFoundError, ConnectionRefusedError):
            if not folder.segments():
                return True  # nothing to send, or the exporter has sent all and gone
            sleep(0.02)  # it is still starting
        except OSError:
            return False
    return False


def _ask(folder: StateFolder, seconds: float) -> bool:
    asker = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        asker.settimeout(seconds)
        with reachable(folder.socket) as path:
            asker.connect(path)
        return asker.recv(1) == b"1"
    finally:
        asker.close()


def exporter_problem(folder: StateFolder) -> str | None:
    """What the exporter last said went wrong, or None."""
    return read_problem(folder.path / "status")


def exporter_notes(folder: StateFolder) -> list[str]:
    """What it noted, to be logged once each."""
    return read_notes(folder.path / "status")


def told(folder: StateFolder) -> tuple[str | None, int]:
    """What was logged last of what the exporter said, by any process: the problem, how many notes."""
    path = folder.path / "told"
    return read_problem(path), len(read_notes(path))


def note_told(folder: StateFolder, problem: str | None, notes: list[str]) -> None:
    """Notes what was logged, for whoever logs next."""
    try:
        replace_file(folder.path / "told", json.dumps({"problem": problem, "notes": notes}))
    except OSError:
        pass  # it may then be told twice


def read_problem(path: Path) -> str | None:
    """The problem that the file `path` tells of, or None."""
    problem = _read(path).get("problem")
    return str(problem) if problem else None


def read_notes(path: Path) -> list[str]:
    """The notes in the file `path`."""
    notes = _read(path).get("notes")
    return [str(note) for note in notes] if isinstance(notes, list) else []


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
