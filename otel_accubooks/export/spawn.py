"""From the application's process: starting the exporter, asking it to send, hearing what it says.

Nothing here imports the SDK: what sends is another process.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from time import monotonic, sleep

from otel_accubooks.recorder.folder import StateFolder, lock_file, replace_file

ASK_SECONDS = 1.5

# Taken, as the functions above, before they are patched or, under uWSGI, become the server's binary.
_spawn = os.posix_spawn
_waitpid = os.waitpid
_Socket = socket.socket


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
for fd in os.listdir("/proc/self/fd"):
    try: int(fd) > 2 and os.close(int(fd))
    except OSError: pass
os.chdir("/")
sys.path[:] = sys.argv[2:]
from otel_accubooks.export.main import main
sys.exit(main(sys.argv[1]))
"""


def exporter_runs(folder: StateFolder) -> bool:
    """True while some process holds the exporter's lock."""
    fd = folder.open_lock("exporter")
    try:
        return not lock_file(fd, shared=True)  # so that two who look do not see each other
    finally:
        os.close(fd)


def start_exporter(folder: StateFolder) -> None:
    """Starts an exporter; where several do so at once, the lock picks one. Raises OSError."""
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    executable = python()
    argv = [executable, "-S", "-E", "-c", _PROGRAM, str(folder.path), *path]
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    usual = [s for s in signal.valid_signals() if s not in (signal.SIGKILL, signal.SIGSTOP)]
    pid = _spawn(executable, argv, os.environ, file_actions=null, setsigmask=(), setsigdef=usual)
    try:
        _waitpid(pid, 0)
    except ChildProcessError:
        pass  # the server reaps every child itself


def ask_to_send(folder: StateFolder) -> bool:
    """Asks the exporter to send now, and waits for it, 1.5 s at most. True if it arrived."""
    give_up = monotonic() + ASK_SECONDS
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
    fd = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    asker = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        asker.settimeout(seconds)
        asker.connect(f"/proc/self/fd/{fd}/{folder.socket.name}")
        return asker.recv(1) == b"1"
    finally:
        asker.close()
        os.close(fd)


def exporter_problem(folder: StateFolder) -> str | None:
    """What the exporter last said went wrong, or None."""
    return read_problem(folder.path / "status")


def told(folder: StateFolder) -> str | None:
    """What was logged last of what the exporter said, by any process of the service."""
    return read_problem(folder.path / "told")


def note_told(folder: StateFolder, problem: str | None) -> None:
    """Notes what was logged, for whoever logs next."""
    try:
        replace_file(folder.path / "told", json.dumps({"problem": problem}))
    except OSError:
        pass  # it may then be told twice


def read_problem(path: Path) -> str | None:
    """The problem that the file `path` tells of, or None."""
    try:
        problem = json.loads(path.read_text("utf-8")).get("problem")
    except (OSError, ValueError):
        return None
    return str(problem) if problem else None
