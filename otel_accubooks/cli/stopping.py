"""Asked to end: by Ctrl-C, or by the SIGTERM of who runs us."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """A signal asked us to end. No Exception, lest it be taken for something that went wrong."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = 128 + number  # as shells have it


@contextmanager
def stoppable() -> Iterator[None]:
    """Raises Stopped for SIGINT and SIGTERM while in it."""

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    # What a script starts in the background ignores SIGINT, unless it says otherwise.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
