"""Servers that are started in order, and stopped together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

Say = Callable[[str], None]


class Group(ABC):
    """A subclass says in `_start` what is entered into `_running`, in which order.

    As a context manager it leaves nothing running.
    """

    def __init__(self) -> None:
        self._running = ExitStack()

    @abstractmethod
    def _start(self, say: Say) -> None: ...

    def start(self, say: Say) -> Self:
        """Starts everything; `say` is told each step before it begins. Raises StartError."""
        try:
            self._start(say)
        except BaseException:
            self._running.close()
            raise
        return self

    def stop(self) -> None:
        """Stops everything, the last started first."""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
