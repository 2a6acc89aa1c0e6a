"""Celery: what is counted of a task, in whichever process its attempt ends.

An attempt is one run of a task that was taken from a queue. A run that returns is a success, and so
is one that raises Ignore, as `replace` does: the task ended as it wanted to. Any other end is a
failure: an exception, a Retry, a Reject, a time limit, a process that was killed. What never ran
(revoked, expired) is not counted, and what never was in a queue (`apply`, `task_always_eager`)
neither.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from time import perf_counter
from typing import Any

from otel_accubooks.contract.metrics import (
    FORECAST_JOB_DURATION_SECONDS,
    FORECAST_JOB_WAIT_TIME_SECONDS,
    FORECAST_JOBS_PROCESSED_TOTAL,
    JOB_STATUSES,
)
from otel_accubooks.instrument import business
from otel_accubooks.instrument.celery_children import own_run
from otel_accubooks.instrument.celery_message import queue_of
from otel_accubooks.instrument.celery_queue import READY_AT
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.recorder.process import recorder

SUCCESS, FAILURE = JOB_STATUSES

_durations = recorder.histogram(FORECAST_JOB_DURATION_SECONDS)
_processed = recorder.counter(FORECAST_JOBS_PROCESSED_TOTAL)
_waits = recorder.histogram(FORECAST_JOB_WAIT_TIME_SECONDS)

_EAGER_POSITION = 4  # of build_tracer's arguments after the task


class Job:
    """A task in the words of the rules: function, arguments, headers and result."""

    __slots__ = ("_result", "args", "func_name", "kwargs", "meta")

    def __init__(self, name: str, args: Any, kwargs: Any, headers: Any, result: Any) -> None:
        self.func_name = name
        self.args = args
        self.kwargs = kwargs
        self.meta = headers
        self._result = result


def count(
    queue: str, status: str, seconds: float, job: Job, claim: Callable[[], bool] = lambda: True
) -> None:
    """Counts one attempt that ended, if it can be claimed. May raise."""
    processed = _processed.labels(queue, status)
    # Nothing between these two: a process that is killed there leaves its run to nobody.
    if claim():
        processed.add()
        _durations.labels(queue).record(seconds)
        business.job_ended(job, status)


def _building(original: Callable[..., Any]) -> Callable[..., Any]:
    def build_tracer(name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = original(name, task, *args, **kwargs)
        try:
            eager = kwargs.get("eager", args[_EAGER_POSITION:][:1] == (True,))
            return tracer if eager else _measured(tracer, task)
        except Exception:
            failed("measuring a task")
            return tracer

    return build_tracer


def _measured(tracer: Callable[..., Any], task: Any) -> Callable[..., Any]:
    @functools.wraps(tracer)
    def trace_task(uuid: Any, args: Any, kwargs: Any, request: Any = None) -> Any:
        queue = _begun(task, request)
        began = perf_counter()
        try:
            outcome = tracer(uuid, args, kwargs, request)
        except BaseException:
            # Without a word to Celery: a Reject, or a signal that ends the process.
            _ended(queue, began, (task, args, kwargs, request), None)
            raise
        _ended(queue, began, (task, args, kwargs, request), outcome)
        return outcome

    return trace_task


def _begun(task: Any, request: Any) -> str:
    """The queue that the message came from."""
    queue = ""
    try:
        own_run.begin()
        request = request or {}
        # Out of the application's sight, which may look at all headers that are not Celery's.
        ready_at = request.pop(READY_AT, None)
        delivery = request.get("delivery_info") or {}
        queue = queue_of(task.app, delivery)
        # Nobody knows when a message that came again was put back.
        if ready_at is not None and not delivery.get("redelivered"):
            _waits.labels(queue).record(max(time.time() - float(ready_at), 0.0))
    except Exception:
        failed("recording the start of a task")
    return queue


def _ended(queue: str, began: float, run: tuple[Any, ...], outcome: Any) -> None:
    """Told of a run, by task, arguments and request, and what Celery has of it; None: an exception."""
    try:
        task, args, kwargs, request = run
        job = Job(task.name, args, kwargs, request, None)
        if outcome is None:
            _end(queue, FAILURE, began, job)
            return
        # `info` is None, or what Celery has of a run without success.
        job._result, info, runtime = outcome[:3]
        if info is None and runtime is None:
            return  # known to have succeeded before: it did not run
        state = None if info is None else info.state
        if state in (None, "IGNORED"):
            _end(queue, SUCCESS, began, job)
            return
        business.exception_raised(info.retval.exc if state == "RETRY" else info.retval)
        _end(queue, FAILURE, began, job)
    except Exception:
        failed("recording the end of a task")


def _end(queue: str, status: str, began: float, job: Job) -> None:
    count(queue, status, perf_counter() - began, job, own_run.claim)


def instrument(module: Any) -> Patches:
    """Measures every task that runs in this process; `module` is celery.app.trace, 5.3 or later."""
    patches = Patches()
    patches.wrap(module, "build_tracer", _building)
    consumer = sys.modules.get("celery.worker.consumer.consumer")
    if consumer is not None and "build_tracer" in vars(consumer):
        patches.wrap(consumer, "build_tracer", _building)
    return patches
