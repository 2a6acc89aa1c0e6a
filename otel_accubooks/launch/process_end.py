"""The end of a process: what it still has to send, it sends then, in two seconds at most.

Counts of the contract need none of this, since they are in shared memory. Spans, log records and what
the application's own meters measured are in the memory of the process, and go with it.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import wrapt

from otel_accubooks.launch.start import left_out

SECONDS = 2.0

_waiting: dict[int, list[Callable[[], None]]] = {}  # by process: what was inherited is the parent's
_watching = False


def at_end(flush: Callable[[], None]) -> None:
    """Calls `flush` when this process ends, but for those that are killed, or end by `os._exit`.

    Of the latter, these are noticed: children of multiprocessing, and work horses of RQ and the
    processes of Celery's pool unless their instrumentation is switched off.
    """
    _watch()
    mine = _waiting.setdefault(os.getpid(), [])
    mine.append(flush)
    multiprocessing = sys.modules.get("multiprocessing")
    if len(mine) == 1 and multiprocessing is not None and multiprocessing.parent_process():
        from multiprocessing.util import Finalize

        Finalize(None, flush_all, exitpriority=0)


def flush_all(*_: Any, **__: Any) -> None:
    """Does what is to be done at the end of this process, once. Never raises."""
    for flush in _waiting.pop(os.getpid(), []):
        try:
            flush()
        except Exception:
            pass  # who does not get it has been told of already


def _watch() -> None:
    global _watching
    if not _watching:
        _watching = True
        atexit.register(flush_all)
        out = left_out()
        if "celery" not in out:
            wrapt.register_post_import_hook(_watch_celery, "celery.signals")
        if "rq" not in out:
            wrapt.register_post_import_hook(_watch_rq, "rq")


def _watch_celery(module: Any) -> None:
    module.worker_process_shutdown.connect(flush_all, weak=False)


def _watch_rq(module: Any) -> None:
    owner = next(base for base in module.Worker.__mro__ if "perform_job" in vars(base))
    original = owner.perform_job

    @functools.wraps(original)
    def perform_job(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            if getattr(self, "is_horse", False):
                flush_all()

    owner.perform_job = perform_job
