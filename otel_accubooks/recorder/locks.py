"""Locks that one process of a service holds: who exports, who asks a server, who tells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from otel_accubooks.recorder.files import (
    folder_is_locked,
    inode_at,
    inode_of,
    is_locked,
    is_open,
    lock_file,
    lock_folder,
)
from otel_accubooks.recorder.folder import StateFolder


class _Descriptor(NamedTuple):
    fd: int
    inode: tuple[int, int]


class ServiceLock:
    """The lock `name` of a folder. It goes with its process, and is not inherited over a fork.

    Where its file was deleted, who held the lock holds it on, as long as nobody took the new one
    before: those who wait look at the file that they know.
    """

    def __init__(self, folder: StateFolder, name: str) -> None:
        self._folder = folder
        self._name = name
        # Whoever works with a descriptor takes it out meanwhile: of two threads, or of a thread and a
        # child that is forked then, one closes it. The other would close a file of the application.
        self._known: list[_Descriptor] = []
        self._forgotten = False
        self.held = False

    def take(self) -> bool:
        """True if this process holds the lock now. Raises OSError where there is no folder."""
        one = self._taken_out() or self._opened()
        try:
            self.held = self._lock(one.fd)
            if self.held and not self._is_there(one):
                before, one = one, self._opened()
                try:
                    self.held = self._lock(one.fd)
                finally:
                    os.close(before.fd)
        finally:
            self._put_back(one)
        return self.held

    def is_there(self) -> bool:
        """False once the lock's file was deleted, or replaced, under this process."""
        return any(self._is_there(one) for one in self._known)

    def is_held_elsewhere(self) -> bool:
        """True while another process holds it. Not for a process that holds it itself."""
        known = self._taken_out()
        if known is not None and self._is_others(known):
            return True
        return self._is_others(self._opened())  # free, or that of a folder which is no more

    def forget(self) -> None:
        """Lets go of it for good. In a forked child: of the parent's descriptor; the lock stays its."""
        self._forgotten = True
        self.held = False
        while (one := self._taken_out()) is not None:
            os.close(one.fd)

    def _taken_out(self) -> _Descriptor | None:
        while True:
            try:
                one = self._known.pop()
            except IndexError:
                return None
            if is_open(*one):
                return one

    def _put_back(self, one: _Descriptor) -> None:
        self._known.append(one)
        if self._forgotten:  # meanwhile
            self.forget()

    def _opened(self) -> _Descriptor:
        fd = self._open()
        return _Descriptor(fd, inode_of(fd))

    def _is_others(self, one: _Descriptor) -> bool:
        others = True
        try:
            others = self._is_locked(one.fd)
        finally:
            if others:
                self._put_back(one)
            else:
                os.close(one.fd)
        return others

    def _is_there(self, one: _Descriptor) -> bool:
        return inode_at(self._path()) == one.inode

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
