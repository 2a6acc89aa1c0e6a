"""Files of a service's folder: opened, made, replaced and locked.

Root may work in the folder of a lesser user (see `folder`), who could put links or pipes in the place
of files: links are never followed, nothing is waited for, and only what root made is handed over.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import sys
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing can be shared there
    fcntl = None  # type: ignore[assignment]

_SAFELY = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"))
SPARE_DESCRIPTORS = 16
# From 3.13 on a mapping needs no descriptor of its own.
_UNTRACKED: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
_staying: list[object] = []


def check_descriptors() -> None:
    """Raises OSError (EMFILE) where few are left: the application may need them all."""
    try:
        fd = os.open(
            os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
        )  # the lowest that is free
    except FileNotFoundError:
        return  # of a root directory without devices
    os.close(fd)
    if hasattr(os, "sysconf") and 0 <= os.sysconf("SC_OPEN_MAX") <= fd + SPARE_DESCRIPTORS:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def sharing_is_possible() -> bool:
    """True where the system has file locks; elsewhere a process is on its own."""
    return fcntl is not None


def effective_user() -> int:
    """The user whose rights this process has; -1 where the system knows none."""
    return os.geteuid() if hasattr(os, "geteuid") else -1


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of the regular file at `path`. Raises OSError."""
    fd = os.open(path, flags | _SAFELY)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return fd


def create(path: Path) -> int:
    """A descriptor of a new file, private to the owner of its folder. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600)
    try:
        # Asked after it was made: who hands the folder over looks for files after the folder.
        if effective_user() == 0 and (owner := os.stat(path.parent).st_uid) != 0:
            os.fchown(fd, owner, -1)
    except OSError:
        os.close(fd)
        raise
    return fd


def open_or_create(path: Path) -> int:
    """A descriptor of the file at `path`, which is made if it is not there. Raises OSError."""
    while True:
        try:
            return open_regular(path, os.O_RDWR)
        except FileNotFoundError:
            try:
                return create(path)
            except FileExistsError:
                pass  # made by another process meanwhile


def map_file(fd: int, size: int, *, write: bool = False) -> mmap.mmap:
    """The first `size` bytes of a file as memory that is shared with whoever maps it."""
    access = mmap.ACCESS_WRITE if write else mmap.ACCESS_READ
    return mmap.mmap(fd, size, access=access, **_UNTRACKED)


def replace_file(path: Path, content: str | bytes) -> None:
    """Writes a file so that whoever reads it reads the old or the new one whole. Raises OSError."""
    hidden = path.with_name(f".{path.name}-{os.getpid()}")
    hidden.unlink(missing_ok=True)  # of a process with this id that was killed
    fd = create(hidden)
    try:
        left = memoryview(content if isinstance(content, bytes) else content.encode("utf-8"))
        while left:
            left = left[os.write(fd, left) :]
        os.rename(hidden, path)
    except OSError:
        hidden.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def inode_of(fd: int) -> tuple[int, int]:
    """Which file is open as `fd`: device and inode."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def inode_at(path: Path) -> tuple[int, int] | None:
    """Which file is at `path`, a link itself; None where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_open(fd: int, inode: tuple[int, int]) -> bool:
    """True where `fd` is still this file: an application that closed all it had may have its own there."""
    try:
        return inode_of(fd) == inode
    except OSError:
        return False


def close_mapped(fd: int, inode: tuple[int, int], mapping: object) -> None:
    """Closes `fd`, which is mapped, where it is still this file. Never raises.

    Before Python 3.13 the mapping has a descriptor of its own, and closes it at its end: where the
    application closed all, and has its own files there by now, it stays.
    """
    if not is_open(fd, inode):
        _staying.append(mapping)
        return
    try:
        os.close(fd)
    except OSError:
        pass  # the file system's own trouble: it is closed


def lock_file(fd: int, *, shared: bool = False) -> bool:
    """Takes a POSIX lock, which dies with its process and is not inherited; True if it was had."""
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.lockf(fd, mode | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_locked(fd: int) -> bool:
    """True if another process holds the lock. Never to be asked of a file that this process locked."""
    if not lock_file(fd, shared=True):  # shared, so that two who look do not see each other
        return True
    fcntl.lockf(fd, fcntl.LOCK_UN)
    return False


def lock_folder(fd: int) -> bool:
    """Takes BSD's lock of a folder, which a forked child inherits; True if it was had."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def folder_is_locked(fd: int) -> bool:
    """True if another process holds BSD's lock of a folder."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False
