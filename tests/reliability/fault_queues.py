"""Steps of RQ and Celery, of their workers, and of what is asked in the background."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from typing import Any

import celery.app.amqp
import celery.backends.redis
import celery.concurrency.prefork
import celery.worker.consumer.tasks  # noqa: F401 - all of these before they are measured
import kombu.transport.redis  # noqa: F401
import psycopg2
import redis
import rq
from celery import Celery
from celery.app import trace
from celery.exceptions import Ignore, Reject
from celery.worker import state as celery_state
from rq.job import Job

from tests.reliability.fault_step import DSN, URL, LedgerError, Step, closing, step, told


def succeed(number: int = 1, *, tier: str = "FREE") -> Any:
    return {"number": number, "plan": {"tier": tier}}


def fail() -> None:
    raise LedgerError("wrong")


def again() -> Any:
    return rq.Retry(max=1)


def fate(job: Job) -> Any:
    """What RQ keeps of a job."""
    job.refresh()
    result = job.latest_result()
    last = (result.exc_string or "").strip().splitlines()[-1:] if result else None
    return job.get_status().value, job.return_value(), last


def _jobs(worker: Any) -> Any:
    with redis.Redis.from_url(URL) as client:
        client.flushdb()
        queue = rq.Queue("books", connection=client)
        jobs = [queue.enqueue(succeed, 7, tier="PRO"), queue.enqueue(fail), queue.enqueue(again)]
        jobs += queue.enqueue_many([rq.Queue.prepare_data(succeed)])
        worker([queue], connection=client).work(burst=True, logging_level="CRITICAL")
        said = [fate(job) for job in jobs]
        return said, len(queue), queue.started_job_registry.count


@step
def rq_jobs() -> Any:
    return _jobs(rq.SimpleWorker)


@step
def rq_jobs_in_work_horses() -> Any:
    return _jobs(rq.Worker)


@step
def rq_jobs_at_once() -> Any:
    with redis.Redis.from_url(URL) as client:
        client.flushdb()
        queue = rq.Queue("books", connection=client, is_async=False)
        return fate(queue.enqueue(succeed, 7)), fate(queue.enqueue(fail))


@step
def rq_jobs_for_later() -> Any:
    import datetime

    with redis.Redis.from_url(URL) as client:
        client.flushdb()
        queue = rq.Queue("books", connection=client)
        job = queue.enqueue_in(datetime.timedelta(hours=1), succeed)
        return job.get_status().value, queue.scheduled_job_registry.count


books = Celery("books", broker=URL, backend=URL)
books.conf.update(task_default_queue="celery-books", broker_connection_retry_on_startup=False)


@books.task
def c_succeed(number: int = 1, *, tier: str = "FREE") -> Any:
    return {"number": number, "plan": {"tier": tier}}


@books.task
def c_fail() -> None:
    raise LedgerError("wrong")


@books.task(bind=True, max_retries=2)
def c_again(self: Any) -> None:
    raise self.retry(exc=LedgerError("not yet"), countdown=60)


@books.task
def c_ignore() -> None:
    raise Ignore


@books.task
def c_reject() -> None:
    raise Reject("wrong", requeue=False)


@step
def celery_sends() -> Any:
    with books.connection_for_write() as connection:
        connection.default_channel.queue_purge("celery-books")
        sent = c_succeed.apply_async((7,), {"tier": "PRO"}, headers={"tier": "FREE"})
        c_succeed.apply_async(countdown=60)
        channel = connection.default_channel
        message = channel.basic_get("celery-books", no_ack=True)
        return message.headers["id"] == sent.id, message.headers["task"], message.payload[:2]


@step
def celery_tasks() -> Any:
    said = []
    for task in (c_succeed, c_fail, c_again, c_ignore, c_reject):
        tracer = trace.build_tracer(task.name, task, app=books)
        delivery = {"exchange": "", "routing_key": "celery-books", "redelivered": False}
        asked = {"id": "one", "delivery_info": delivery, "retries": 0, "is_eager": False}
        outcome = told(tracer, "one", (), {}, asked)
        said.append(outcome if isinstance(outcome, list) else repr(outcome[0]))
    eager = c_succeed.apply()
    return said, eager.get()


@step
def questions() -> Any:
    """What is asked in the background, asked here."""
    from otel_accubooks.instrument.polling import polls

    with closing(psycopg2.connect(DSN)), redis.Redis.from_url(URL) as client:
        client.get("a")
        for poll in list(polls._polls.values()):
            polls._run_one(poll)
    return True


def _worker(pool: str) -> Any:
    with redis.Redis.from_url(URL) as client:
        client.flushdb()
    results = [c_succeed.delay(7, tier="PRO"), c_fail.delay()]
    if pool == "prefork":
        results.append(c_dies.delay())
    # What ended a worker before would end this one at once.
    celery_state.should_stop = celery_state.should_terminate = None
    worker = books.Worker(
        pool=pool, concurrency=1, loglevel="CRITICAL", without_gossip=True, without_mingle=True,
        without_heartbeat=True, hijack_root_logger=False, redirect_stdouts=False,
    )  # fmt: skip

    def ended() -> None:
        for result in results:
            with contextlib.suppress(Exception):
                result.get(timeout=20, disable_sync_subtasks=False)
        worker.stop() if pool == "solo" else os.kill(os.getpid(), signal.SIGTERM)

    ending = threading.Thread(target=ended, daemon=True)
    ending.start()
    with contextlib.suppress(SystemExit):
        worker.start()
    ending.join()  # or it would stop what the next run has started
    # Jobs of a pool are numbered over all pools of a process.
    return [[r.status, re.sub(r"Job: \d+", "Job", repr(r.result))] for r in results]


@books.task
def c_dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


WORKERS: dict[str, Step] = {
    "celery_worker": lambda: _worker("solo"),
    "celery_worker_with_a_pool": lambda: _worker("prefork"),
    "rq_jobs_in_spawned_work_horses": lambda: _jobs(rq.SpawnWorker),
}
