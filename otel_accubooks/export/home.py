"""The folder in which an exporter works, also after it was deleted under it."""

from __future__ import annotations

import os
import socket

from otel_accubooks.export.address import listen
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.locks import ExporterLock


class Home:
    """Folder, lock and socket of the exporter that was elected by `lock`."""

    def __init__(self, folder: StateFolder, lock: ExporterLock) -> None:
        self._folder = folder
        self._lock = lock
        self.listener: socket.socket = listen(folder.socket)
        self._socket = self._inode()

    def is_whole(self) -> bool:
        """False once lock or socket were deleted, alone or with the folder."""
        return self._lock.is_there() and self._inode() == self._socket

    def mend(self) -> bool:
        """Makes anew what is missing. False if another exporter was elected there meanwhile.

        Raises OSError where it cannot be made.
        """
        self._folder.make()
        if not self._lock.take():
            return False
        before = self.listener
        self.listener = listen(self._folder.socket)
        self._socket = self._inode()
        before.close()
        return True

    def _inode(self) -> int | None:
        try:
            return os.lstat(self._folder.socket).st_ino
        except OSError:
            return None
