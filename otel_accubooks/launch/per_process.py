"""What every process needs one of its own of, since threads, sockets and locks survive no fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One T for each process, made there when it is first asked for."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # What was inherited is kept: letting go of it could close what the parent still uses.
        self._made: dict[int, T] = {}
        self._locks: dict[int, Any] = {}

    def known(self) -> T | None:
        """This process's own, if it was made already."""
        return self._made.get(os.getpid())

    def get(self) -> T:
        """This process's own; it is made if there is none yet."""
        pid = os.getpid()
        made = self._made.get(pid)
        if made is None:
            with self._locks.setdefault(pid, threading.RLock()):
                made = self._made.get(pid)
                if made is None:
                    made = self._made[pid] = self._make()
        return made


def prepare_for_forks() -> None:
    """Imports what sending would import later.

    A process that is forked while another thread imports waits for that import for ever.
    """
    import netrc  # noqa: F401

    "".encode("idna")
