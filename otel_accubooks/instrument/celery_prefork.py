"""Celery's pool of processes: the worker counts for a child that was killed before it could."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Any

from otel_accubooks.instrument import business, celery_children
from otel_accubooks.instrument.celery import FAILURE, SUCCESS, Job, count
from otel_accubooks.instrument.celery_children import HANDED_OVER, share
from otel_accubooks.instrument.celery_message import queue_of
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches

_stored: set[int] = set()  # ids of requests whose child was lost after its success was stored


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    def on_start(self: Any) -> Any:
        try:
            runs = share()
            if runs is not None and not self.forking_enable:
                os.environ[HANDED_OVER] = str(runs.descriptor)
        except Exception:
            failed("preparing a pool of processes")
        return original(self)

    return on_start


def _looking(original: Callable[..., Any]) -> Callable[..., Any]:
    def _success_was_stored(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        if found:
            _stored.add(id(self))
        return found

    return _success_was_stored


def _failing(original: Callable[..., Any]) -> Callable[..., Any]:
    def on_failure(
        self: Any,
        exc_info: Any,
        send_failed_event: Any = True,
        return_ok: Any = False,
    ) -> Any:
        try:
            return original(self, exc_info, send_failed_event, return_ok)
        finally:
            if not return_ok:  # else the child said so itself
                _lost(self, exc_info)

    return on_failure


def _lost(request: Any, exc_info: Any) -> None:
    """Counts an attempt that its child did not report, unless the child has counted it all the same."""
    try:
        status = SUCCESS if id(request) in _stored else FAILURE
        _stored.discard(id(request))
        runs = celery_children.runs
        if runs is None or runs.owner != os.getpid():
            return
        job = request._apply_result and request._apply_result()
        accepted = getattr(job, "_time_accepted", None)
        if accepted is not None and not _is_to_be_counted(runs, request.worker_pid, accepted):
            return
        seconds = 0.0 if accepted is None else max(monotonic() - accepted, 0.0)
        told = Job(request.task.name, request.args, request.kwargs, request.request_dict, None)
        if status == FAILURE:
            business.exception_raised(_raised(exc_info))
        count(queue_of(request.app, request.delivery_info), status, seconds, told)
    except Exception:
        failed("recording a task whose process was lost")


def _raised(exc_info: Any) -> BaseException | None:
    from billiard.einfo import ExceptionWithTraceback

    found = exc_info.exception
    raised: BaseException | None = found.exc if isinstance(found, ExceptionWithTraceback) else found
    return raised


def _is_to_be_counted(runs: celery_children.Runs, pid: Any, accepted: float) -> bool:
    try:
        return runs.claim(int(pid), accepted)
    except (OSError, ValueError):
        return True


def instrument(module: Any) -> Patches:
    """Measures the pools of this process; `module` is celery.concurrency.prefork."""
    from celery.worker.request import Request

    patches = Patches()
    patches.wrap(module.TaskPool, "on_start", _starting)
    patches.wrap(Request, "on_failure", _failing)
    if "_success_was_stored" in vars(Request):
        patches.wrap(Request, "_success_was_stored", _looking)
    return patches
