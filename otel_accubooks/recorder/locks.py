"""Locks that one process of a service holds: who exports, who asks a server, who tells."""

from __future__ import annotations

import os
from pathlib import Path

from otel_accubooks.recorder.files import folder_is_locked, is_locked, lock_file, lock_folder
from otel_accubooks.recorder.folder import StateFolder


class ServiceLock:
    """The lock `name` of a folder. It goes with its process, and is not inherited over a fork.

    Where its file was deleted, who held the lock holds it on, as long as nobody took the new one
    before: those who wait look at the file that they know.
    """

    def __init__(self, folder: StateFolder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._fd: int | None = None
        self.held = False

    def take(self) -> bool:
        """True if this process holds the lock now. Raises OSError where there is no folder."""
        if self._fd is None:
            self._fd = self._open()
        self.held = self._lock(self._fd)
        if not self.held or self._is_there(self._fd):
            return self.held
        new = self._open()
        self.held = self._lock(new)
        os.close(self._fd)
        self._fd = new
        return self.held

    def is_there(self) -> bool:
        """False once the lock's file was deleted, or replaced, under this process."""
        return self._fd is not None and self._is_there(self._fd)

    def is_held_elsewhere(self) -> bool:
        """True while another process holds it. Not for a process that holds it itself."""
        for known in (self._fd, None):
            fd = self._open() if known is None else known
            self._fd = fd
            if self._is_locked(fd):
                return True
            os.close(fd)  # free, or that of a folder which is no more
            self._fd = None
        return False

    def forget(self) -> None:
        """In a forked child: lets go of the parent's descriptor; the lock stays the parent's."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self.held = False

    def _is_there(self, fd: int) -> bool:
        try:
            there = os.lstat(self._path())
        except OSError:
            return False
        mine = os.fstat(fd)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _path(self) -> Path:
        return self._folder.lock_path(self._name)

    def _open(self) -> int:
        return self._folder.open_lock(self._name)

    def _lock(self, fd: int) -> bool:
        return lock_file(fd)

    def _is_locked(self, fd: int) -> bool:
        return is_locked(fd)


class ExporterLock(ServiceLock):
    """The exporter's: on the folder itself, so that there is one exporter as long as the folder lives.

    BSD's kind, since a folder cannot be opened for writing. A fork would inherit it; the exporter
    forks nobody. systemd-tmpfiles leaves folders alone that are locked like this.
    """

    def __init__(self, folder: StateFolder) -> None:
        super().__init__(folder, "exporter")

    def _path(self) -> Path:
        return self._folder.path

    def _open(self) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._folder.path, flags)

    def _lock(self, fd: int) -> bool:
        return lock_folder(fd)

    def _is_locked(self, fd: int) -> bool:
        return folder_is_locked(fd)
