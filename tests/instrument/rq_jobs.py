"""Jobs and workers of every fate, for workers in processes of their own."""

import logging
import os
import signal
import threading
import time

from rq import Queue, SimpleWorker, SpawnWorker, Worker, get_current_job


class LedgerError(Exception):
    """What the books may raise."""


def _note_the_run():
    job = get_current_job()
    job.connection.rpush("runs", job.id)
    return job


def succeed(number=1, *, tier="FREE"):
    """Succeeds."""
    _note_the_run()
    return {"number": number, "plan": {"tier": tier}}


def fail():
    """Raises an exception of the application."""
    _note_the_run()
    raise LedgerError("wrong")


def run_out_of_time():
    """Takes longer than any job may."""
    _note_the_run()
    time.sleep(60)


def kill_the_horse():
    """Ends the process that runs it, as the kernel's out-of-memory killer does."""
    _note_the_run()
    os.kill(os.getpid(), signal.SIGKILL)


def succeed_then_die():
    """Succeeds, and its work horse is killed as soon as RQ has stored and logged that."""
    _note_the_run()

    class Killer(logging.Handler):
        def emit(self, record):
            if record.msg.startswith("Successfully completed"):
                os.kill(os.getpid(), signal.SIGKILL)

    log = logging.getLogger("rq.worker")
    log.setLevel(logging.INFO)
    log.addHandler(Killer())


def return_a_lock():
    """Returns what cannot be stored."""
    _note_the_run()
    return threading.Lock()


def ask_for_another_try():
    """Returns a Retry the first time."""
    from rq import Retry

    job = _note_the_run()
    return Retry(max=3) if not job.number_of_retries else "done"


def do_nothing():
    """Succeeds, and no rule speaks of it."""
    _note_the_run()


def refuse(job, connection, result):
    """A success callback that raises."""
    raise LedgerError("refused")


class _Dying:
    """Its work horse is killed once it has dealt with a failure."""

    def handle_job_failure(self, *args, **kwargs):
        super().handle_job_failure(*args, **kwargs)
        if self._is_horse:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingWorker(_Dying, Worker):
    """Forks its work horses."""


class DyingSpawnWorker(_Dying, SpawnWorker):
    """Spawns its work horses."""


class ApplicationWorker(SimpleWorker):
    """A worker as applications make them."""

    def perform_job(self, *args, **kwargs):
        return super().perform_job(*args, **kwargs)


class ApplicationQueue(Queue):
    """A queue as applications make them."""
