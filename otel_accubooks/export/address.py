"""Where the exporter listens: a socket in the service's folder, whose path may be of any length."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_PATH_BYTES = 100  # of a socket: 108 on Linux, 104 on macOS, with what ends it


def listen(path: Path) -> socket.socket:
    """Listens at `path`, in place of whoever did before. Changes directory meanwhile. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    mask = os.umask(0)  # whoever may enter the folder may ask, also where it was handed over
    try:
        path.unlink(missing_ok=True)
        os.chdir(path.parent)
        listener.bind(path.name)
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
        os.fchdir(before)
        os.close(before)
    return listener


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """The path of a socket, short enough to connect to, without a change of directory."""
    if len(os.fsencode(path)) <= LONGEST_PATH_BYTES:
        yield str(path)
    elif os.path.isdir("/proc/self/fd"):
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{fd}/{path.name}"
        finally:
            os.close(fd)
    else:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(dir="/tmp") as short:
            link = os.path.join(short, "f")
            os.symlink(path.parent, link)
            yield os.path.join(link, path.name)
