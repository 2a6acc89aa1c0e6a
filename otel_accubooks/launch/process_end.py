"""The end of a process: what it still has to send, it sends then, in a second at most.

Counts of the contract need none of this, since they are in shared memory. Spans, log records and what
the application's own meters measured are in the memory of the process, and go with it.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
from collections.abc import Callable
from logging import getLogger
from pathlib import Path
from time import monotonic
from typing import Any

import wrapt

from otel_accubooks.launch.switches import left_out
from otel_accubooks.recorder.files import replace_file
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.process import recorder

_log = getLogger("otel_accubooks")

SECONDS = 0.8
ALONE_SECONDS = 1.5  # for the counts, where nobody waited before
IN_VAIN = 0.9  # of its time: who took that much was not answered
LEAST_SECONDS = 0.2
LATELY_SECONDS = 5.0

Flush = Callable[[float], object]

_waiting: dict[int, list[Flush]] = {}  # by process: what was inherited is the parent's
_watching = False


def at_end(flush: Flush) -> None:
    """Calls `flush` when this process ends, but for those that are killed, or end by `os._exit`.

    Of the latter, these are noticed: children of multiprocessing, and work horses of RQ and the
    processes of Celery's pool unless their instrumentation is switched off.

    It is told how many seconds it may take: all together have SECONDS, in equal shares of what is left.
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
    try:
        waiting = _waiting.pop(os.getpid(), [])
        began, in_vain = monotonic(), False
        for sharing, flush in zip(range(len(waiting), 0, -1), waiting, strict=True):
            now = monotonic()
            seconds = max(0.0, began + SECONDS - now) / sharing
            try:
                flush(seconds)
            except Exception:
                pass  # who does not get it has been told of already
            in_vain |= monotonic() - now >= IN_VAIN * seconds
        if in_vain and recorder.folder is not None:
            replace_file(_waited(recorder.folder), str(began))
    except Exception:
        pass  # who ends next then waits as if nobody had


def seconds_left(folder: StateFolder) -> float:
    """How long a process may wait at its end, where others of the service just did so in vain.

    A server ends after its workers: together they are not to take longer than one alone.
    """
    try:
        ago = monotonic() - float(_waited(folder).read_text("utf-8"))
    except (OSError, ValueError):
        return ALONE_SECONDS
    if not 0.0 <= ago < LATELY_SECONDS:
        return ALONE_SECONDS
    return max(LEAST_SECONDS, SECONDS - ago)


def _waited(folder: StateFolder) -> Path:
    return folder.path / "waited"


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
    try:
        module.worker_process_shutdown.connect(flush_all, weak=False)
    except Exception:
        _say_unnoticed("a process of Celery's pool")


def _watch_rq(module: Any) -> None:
    try:
        owner = next(base for base in module.Worker.__mro__ if "perform_job" in vars(base))
        _wrap_perform_job(owner)
    except Exception:
        _say_unnoticed("a work horse of RQ")


def _say_unnoticed(what: str) -> None:
    _log.warning("otel-accubooks: the end of %s is not noticed", what, exc_info=True)


def _wrap_perform_job(owner: Any) -> None:
    original = owner.perform_job

    @functools.wraps(original)
    def perform_job(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            if getattr(self, "is_horse", False):
                flush_all()

    owner.perform_job = perform_job
