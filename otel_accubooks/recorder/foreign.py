"""Exceptions of the application's: a time limit strikes anywhere, also while our code runs."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes enumeration members of all
from collections.abc import Iterator
from types import CodeType

# Those of RQ and of Celery, which need not come by a signal.
_TIME_LIMITS = {
    ("rq.timeouts", "BaseTimeoutException"),
    ("billiard.exceptions", "SoftTimeLimitExceeded"),
}


def is_foreign(error: BaseException, *, asked: bool = False) -> bool:
    """True for a time limit, and for whatever else a signal handler raised: it is to be passed on.

    `asked` says that code of the application ran, which may wait: its TimeoutError is no limit then.
    """
    if not isinstance(error, Exception):
        return True
    if not asked and isinstance(error, TimeoutError) and error.errno is None:
        return True  # nothing here waits in a request; a file system that does gives its number
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
