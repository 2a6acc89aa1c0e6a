"""The promise to the application: what fails in a hook is logged once, and nothing else.

So a hook catches every `Exception`. But some are the application's: those are passed on.
"""

from __future__ import annotations

import sys
from logging import getLogger

from otel_accubooks.recorder.foreign import is_foreign

_log = getLogger("otel_accubooks")
_told: set[str] = set()


def failed(place: str, error: BaseException | None = None) -> None:
    """Logs `error`, by default that of the `except` around the call, once for each `place`.

    Raises it if it is the application's.
    """
    pass_on(error)
    _say(place, error)


def pass_on(error: BaseException | None = None, *, asked: bool = False) -> None:
    """Raises `error`, by default that of the `except` around the call, if it is the application's.

    Where an object of the application was `asked` for something, TimeoutError is its answer.
    """
    error = error or sys.exc_info()[1]
    if error is not None and is_foreign(error, asked=asked):
        raise error


def say_failed(place: str, error: BaseException | None = None) -> None:
    """As `failed`, where nothing of the application can strike. Never raises."""
    try:
        _say(place, error)
    except Exception:
        pass  # a time limit of a handler's own


def _say(place: str, error: BaseException | None) -> None:
    try:
        if place not in _told:
            _told.add(place)
            _log.warning(
                "otel-accubooks: %s failed; the application is not affected: %s",
                place,
                _described(error or sys.exc_info()[1]),
            )
    except Exception as another:  # a handler's own, or no memory left
        if is_foreign(another):
            raise


def _described(error: BaseException | None) -> str:
    """Its class and where it was raised. Not what it says: that may be the application's data."""
    import traceback

    if error is None:
        return "nobody knows why"
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__} at\n{frames}".rstrip()
