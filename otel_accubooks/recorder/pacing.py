"""Long work in parts, with pauses between them.

In one go it holds a processor for so long that whoever answers a request waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from otel_accubooks.recorder.unpatched import sleep

PAUSE_SECONDS = 0.001

Pause = Callable[[], None]


def pause() -> None:
    """For a process of its own, or a thread."""
    sleep(PAUSE_SECONDS)


def no_pause() -> None:
    """For whoever is answering a request itself."""


def parts(number: int, size: int, pause: Pause) -> Iterator[slice]:
    """Slices of so many items, each of at most `size`, with a pause between one and the next."""
    for at in range(0, number, size):
        if at:
            pause()
        yield slice(at, at + size)
