"""The promise to the application: what fails in a hook is logged once, and nothing else.

So a hook catches every `Exception`. But some are the application's: a time limit is an exception that
strikes anywhere, also while a hook runs. Those are passed on.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes enumeration members of all
import sys
from collections.abc import Iterator
from logging import getLogger
from types import CodeType

_log = getLogger("otel_accubooks")
_told: set[str] = set()
# Those of RQ and of Celery, which need not come by a signal.
_TIME_LIMITS = {
    ("rq.timeouts", "BaseTimeoutException"),
    ("billiard.exceptions", "SoftTimeLimitExceeded"),
}


def failed(place: str, error: BaseException | None = None) -> None:
    """Logs `error`, by default that of the `except` around the call, once for each `place`.

    Raises it if it is the application's.
    """
    pass_on(error)
    say_failed(place, error)


def pass_on(error: BaseException | None = None) -> None:
    """Raises `error`, by default that of the `except` around the call, if it is the application's."""
    error = error or sys.exc_info()[1]
    if error is not None and _is_foreign(error):
        raise error


def say_failed(place: str, error: BaseException | None = None) -> None:
    """As `failed`, where nothing of the application can strike. Never raises."""
    try:
        if place not in _told:
            _told.add(place)
            _log.warning(
                "otel-accubooks: %s failed; the application is not affected: %s",
                place,
                _described(error or sys.exc_info()[1]),
            )
    except Exception as another:  # a handler's own, or no memory left
        if _is_foreign(another):
            raise


def _described(error: BaseException | None) -> str:
    """Its class and where it was raised. Not what it says: that may be the application's data."""
    import traceback

    if error is None:
        return "nobody knows why"
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__} at\n{frames}".rstrip()


def _is_foreign(error: BaseException) -> bool:
    """True for a time limit, and for whatever else a signal handler raised."""
    if not isinstance(error, Exception) or isinstance(error, TimeoutError):
        return True  # nothing here waits in a request
    if any((kind.__module__, kind.__name__) in _TIME_LIMITS for kind in type(error).__mro__):
        return True
    handlers = set(_handlers())
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code in handlers:
            return True
        step = step.tb_next
    return False


def _handlers() -> Iterator[CodeType]:
    for number in range(1, _signal.NSIG):
        handler = _signal.getsignal(number)
        handler = getattr(handler, "func", handler)  # of functools.partial
        code = getattr(getattr(handler, "__func__", handler), "__code__", None)
        if code is not None:
            yield code
