"""A limit for what has none of its own, in a process that is there for nothing else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_armed = False
AGAIN_SECONDS = 5.0  # where the first is taken for a failure that is worth another attempt


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError where what is inside takes longer; in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread
        return
    global _armed
    was = _armed
    handler = signal.signal(signal.SIGALRM, _overdue)
    left, again = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    _armed = True
    try:
        yield
    finally:
        _armed = False  # an alarm from now on would leave the next ones to whoever comes
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, again)
        _armed = was


def _overdue(*_: Any) -> None:
    if _armed:
        raise TimeoutError("an export took too long, and was given up")
