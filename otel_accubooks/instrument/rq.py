"""RQ: what is counted of a job, in whichever process its attempt ends.

A job usually runs in a work horse, a child that ends with `os._exit`. What it counts is in shared
memory at once. Where the horse is killed, the worker counts the attempt in its place; one byte that
the two share says whether that is still to be done.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from otel_accubooks.contract.metrics import (
    FORECAST_JOB_DURATION_SECONDS,
    FORECAST_JOB_WAIT_TIME_SECONDS,
    FORECAST_JOBS_PROCESSED_TOTAL,
    JOB_STATUSES,
)
from otel_accubooks.instrument import business
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches, Wrapper
from otel_accubooks.instrument.rq_queue import watch
from otel_accubooks.recorder.process import recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

SUCCESS, FAILURE = JOB_STATUSES
HANDED_OVER = "OTEL_ACCUBOOKS_RQ_ATTEMPT"  # descriptor of the shared byte, for a spawned horse

_durations = recorder.histogram(FORECAST_JOB_DURATION_SECONDS)
_processed = recorder.counter(FORECAST_JOBS_PROCESSED_TOTAL)
_waits = recorder.histogram(FORECAST_JOB_WAIT_TIME_SECONDS)

_listened_to: set[str] = set()
_attempts: dict[int, Attempt] = {}  # by id of the job object: a Job is neither hashed nor touched


class Attempt:
    """One attempt at a job, in its worker and in its work horse: counted by the first to end it."""

    def __init__(self, counted: Any) -> None:
        """`counted` is one byte, shared with the other process if there is one."""
        self.counted = counted
        self._began = perf_counter()

    def end(self, job: Any, status: str) -> None:
        """Counts the attempt, unless that was done already. Never raises."""
        try:
            if self.counted[0]:
                return
            processed = _processed.labels(job.origin, status)
            processed.add(0.0)  # its place is made first: a kill has next to no time between these
            self.counted[0] = 1
            processed.add()
            _durations.labels(job.origin).record(self._seconds(job))
            business.job_ended(job, status)
        except Exception:
            failed("recording a job")

    def _seconds(self, job: Any) -> float:
        # As RQ itself has it; a killed job may still have the times of an earlier attempt.
        elapsed = perf_counter() - self._began
        if job.started_at is None or job.ended_at is None:
            return elapsed
        ran: float = (job.ended_at - job.started_at).total_seconds()
        return ran if 0.0 <= ran <= elapsed else elapsed


def _job(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs.get("job")


def _end(job: Any, status: str) -> None:
    attempt = _attempts.get(id(job))
    if attempt is not None:
        attempt.end(job, status)


def _record_wait(job: Any) -> None:
    try:
        since = job.enqueued_at
        if since is not None:
            if since.tzinfo is None:  # RQ 1 has naive datetimes, in UTC
                since = since.replace(tzinfo=timezone.utc)
            waited = (datetime.now(timezone.utc) - since).total_seconds()
            _waits.labels(job.origin).record(max(waited, 0.0))
    except Exception:
        failed("recording a job's wait")


@contextmanager
def _attempt_of(job: Any, share: Callable[[], Any]) -> Iterator[Attempt | None]:
    """The attempt at `job` that goes on in this process, or a new one. None where that failed.

    `share` gives the byte of a new one.
    """
    known = attempt = None
    try:
        known = _attempts.get(id(job))
        attempt = known or Attempt(share())
        _attempts[id(job)] = attempt
    except Exception:
        failed("beginning with a job")
    try:
        yield attempt
    finally:
        if known is None:
            _attempts.pop(id(job), None)


def _forking(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute_job(self: Any, *args: Any, **kwargs: Any) -> Any:
        job = _job(args, kwargs)
        with _attempt_of(job, _shared_by_fork) as attempt:
            result = original(self, *args, **kwargs)
            _settle(job, attempt)
            return result

    return execute_job


def _settle(job: Any, attempt: Attempt | None) -> None:
    """Counts for a horse that was killed after its result was stored, which its worker has seen."""
    try:
        if attempt is None or attempt.counted[0]:
            return
        if job.get_status(refresh=False) == "finished":
            attempt.end(job, SUCCESS)
    except Exception:
        failed("settling a job")


def _shared_by_fork() -> Any:
    try:
        return mmap.mmap(-1, 1)
    except OSError:
        return bytearray(1)


def _spawning(original: Callable[..., Any]) -> Callable[..., Any]:
    def fork_work_horse(self: Any, *args: Any, **kwargs: Any) -> Any:
        descriptor = None
        try:
            descriptor = _hand_over(_attempts[id(_job(args, kwargs))])
        except Exception:
            failed("handing a job over to its work horse")
        try:
            return original(self, *args, **kwargs)
        finally:
            if descriptor is not None:
                os.environ.pop(HANDED_OVER, None)
                os.close(descriptor)

    return fork_work_horse


def _hand_over(attempt: Attempt) -> int:
    descriptor = os.memfd_create("otel-accubooks")
    os.ftruncate(descriptor, 1)
    attempt.counted = mmap.mmap(descriptor, 1)
    os.set_inheritable(descriptor, True)
    os.environ[HANDED_OVER] = str(descriptor)
    return descriptor


def _taken_over() -> Any:
    """The byte that this process shares with the worker that spawned it, else one of its own."""
    descriptor = os.environ.pop(HANDED_OVER, None)
    if descriptor is None:
        return bytearray(1)
    try:
        counted = mmap.mmap(int(descriptor), 1)
        os.close(int(descriptor))
    except (OSError, ValueError):
        return bytearray(1)
    return counted


def _performing(original: Callable[..., Any]) -> Callable[..., Any]:
    def perform_job(self: Any, *args: Any, **kwargs: Any) -> Any:
        job = _job(args, kwargs)
        _record_wait(job)
        with _attempt_of(job, _taken_over):
            try:
                return original(self, *args, **kwargs)
            except BaseException:
                _end(job, FAILURE)
                raise

    return perform_job


def _performing_at_once(original: Callable[..., Any]) -> Callable[..., Any]:
    def run_job(self: Any, *args: Any, **kwargs: Any) -> Any:
        job = _job(args, kwargs)
        _record_wait(job)
        with _attempt_of(job, partial(bytearray, 1)):
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                _end(job, FAILURE)
                business.exception_raised(error)
                raise
            _end(job, SUCCESS)
            return result

    return run_job


def _succeeding(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_job_success(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Not before it is stored: a result that cannot be stored is a failure.
        result = original(self, *args, **kwargs)
        _end(_job(args, kwargs), SUCCESS)
        return result

    return handle_job_success


def _failing(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_job_failure(self: Any, *args: Any, **kwargs: Any) -> Any:
        job = _job(args, kwargs)
        _end(job, FAILURE)
        business.exception_raised(sys.exc_info()[1])
        return original(self, *args, **kwargs)

    return handle_job_failure


def _retrying(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_job_retry(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A job that returns a Retry did not do its work: RQ counts it as failed, too.
        _end(_job(args, kwargs), FAILURE)
        return original(self, *args, **kwargs)

    return handle_job_retry


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    def bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            for queue in self.queues:
                watch(queue)
                _listened_to.add(queue.name)
            _announce()
        except Exception:
            failed("announcing the queues of a worker")
        return original(self, *args, **kwargs)

    return bootstrap


def _announce() -> None:
    for name in _listened_to:
        for status in JOB_STATUSES:
            _processed.labels(name, status).add(0.0)


def _enqueueing(original: Callable[..., Any]) -> Callable[..., Any]:
    def enqueue(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            watch(self)
        except Exception:
            failed("watching a queue")
        return original(self, *args, **kwargs)

    return enqueue


def _wrap(patches: Patches, owner: Any, name: str, wrapper: Wrapper) -> None:
    """Wraps the method where it is defined, so that subclasses of any kind are measured once."""
    for base in owner.__mro__:
        if name in vars(base):
            patches.wrap(base, name, wrapper)
            return


def instrument(module: Any) -> Patches:
    """Measures every worker and queue of this process; `module` is rq, 1.16 or later."""
    patches = Patches()
    _wrap(patches, module.Worker, "bootstrap", _starting)
    _wrap(patches, module.Worker, "execute_job", _forking)
    _wrap(patches, module.Worker, "perform_job", _performing)
    _wrap(patches, module.Worker, "handle_job_success", _succeeding)
    _wrap(patches, module.Worker, "handle_job_failure", _failing)
    _wrap(patches, module.Worker, "handle_job_retry", _retrying)
    if hasattr(module, "SpawnWorker"):
        _wrap(patches, module.SpawnWorker, "fork_work_horse", _spawning)
    _wrap(patches, module.Queue, "run_job", _performing_at_once)
    for name in ("enqueue_job", "enqueue_many", "schedule_job"):
        _wrap(patches, module.Queue, name, _enqueueing)
    recorder.on_open(_announce)
    return patches
