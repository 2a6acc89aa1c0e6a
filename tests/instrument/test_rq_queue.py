"""What RQ's queues are asked in the background, and what they answer."""

import time
from datetime import datetime, timedelta, timezone

import pytest
import redis
import rq

from otel_accubooks.contract.metrics import (
    FORECAST_OLDEST_JOB_AGE_SECONDS,
    FORECAST_QUEUE_DEPTH,
    FORECAST_WORKER_UTILIZATION_PERCENT,
)
from otel_accubooks.instrument import rq as measured
from otel_accubooks.instrument import rq_queue
from otel_accubooks.instrument.polling import Polls
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.redis import Redis


@pytest.fixture
def connection(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client


def value(recorded, metric, queue="books"):
    (point,) = [p for p in recorded().of(metric) if p.labels == (queue,)]
    return point.value


def test_queues_are_known_by_what_they_enqueue(recorded, connection, redis_server, monkeypatch):
    """A web process asks about the queues it feeds, once for each; it does not ask in the call."""
    monkeypatch.setattr(rq_queue, "polls", Polls())
    monkeypatch.setattr(rq_queue, "_watched", set())
    patches = measured.instrument(rq)
    queue = rq.Queue("books", connection=connection)
    rq.Queue("unused", connection=connection)
    queue.enqueue("rq_jobs.succeed")
    queue.enqueue("rq_jobs.succeed")
    rq.Queue("later", connection=connection).enqueue_in(timedelta(hours=1), "rq_jobs.succeed")
    many = rq.Queue("many", connection=connection)
    many.enqueue_many([rq.Queue.prepare_data("rq_jobs.succeed")])
    patches.restore()
    assert sorted(rq_queue.polls._polls) == [
        f"queue 127.0.0.1:{redis_server.port}/0 {name}" for name in ("books", "later", "many")
    ]


def poll(queue):
    return rq_queue.QueuePoll(queue, queue.connection.connection_pool)


def set_age(connection, job, seconds):
    since = datetime.fromtimestamp(time.time() - seconds, timezone.utc)
    connection.hset(job.key, "enqueued_at", f"{since:%Y-%m-%dT%H:%M:%S.%fZ}")


def test_depth_and_age_of_a_queue(recorded, connection):
    """The oldest job counts, also behind one that was put in front; a job that is gone does not."""
    queue = rq.Queue("books", connection=connection)
    jobs = [queue.enqueue("rq_jobs.succeed", at_front=at_front) for at_front in (0, 0, 1)]
    for job, age in zip(jobs, (9000, 5000, 10), strict=True):
        set_age(connection, job, age)
    poll(queue).ask()
    assert value(recorded, FORECAST_QUEUE_DEPTH) == 3
    assert 9000 <= value(recorded, FORECAST_OLDEST_JOB_AGE_SECONDS) < 9100
    connection.delete(jobs[0].key)
    poll(queue).ask()
    assert value(recorded, FORECAST_QUEUE_DEPTH) == 3
    assert 5000 <= value(recorded, FORECAST_OLDEST_JOB_AGE_SECONDS) < 5100


def test_jobs_that_are_gone_are_passed_over(recorded, connection):
    """However many they are in front of the first that is left."""
    queue = rq.Queue("books", connection=connection)
    connection.rpush(queue.key, *(f"gone-{number}" for number in range(rq_queue.PAGE + 20)))
    set_age(connection, queue.enqueue("rq_jobs.succeed"), 700)
    poll(queue).ask()
    assert 700 <= value(recorded, FORECAST_OLDEST_JOB_AGE_SECONDS) < 800


def test_an_empty_queue_is_0_and_not_absent(recorded, connection):
    """Redis has no key for a queue without jobs."""
    poll(rq.Queue("books", connection=connection)).ask()
    for metric in (
        FORECAST_QUEUE_DEPTH,
        FORECAST_OLDEST_JOB_AGE_SECONDS,
        FORECAST_WORKER_UTILIZATION_PERCENT,
    ):
        assert value(recorded, metric) == 0


def test_utilization_is_the_busy_share_of_the_live_workers(recorded, connection):
    """Of this queue's workers; one whose key has expired is not alive."""
    queues = [rq.Queue(name, connection=connection) for name in ("books", "letters")]
    workers = [rq.Worker([queues[0]], connection=connection) for _ in range(5)]
    workers.append(rq.Worker([queues[1]], connection=connection))
    for worker in workers:
        worker.register_birth()
        worker.set_state("busy")
    for worker in workers[:3]:
        worker.set_state("idle")
    connection.delete(workers[0].key)
    for queue in queues:
        poll(queue).ask()
    assert value(recorded, FORECAST_WORKER_UTILIZATION_PERCENT) == 50
    assert value(recorded, FORECAST_WORKER_UTILIZATION_PERCENT, "letters") == 100


def test_a_worker_that_takes_no_job_is_none(recorded, connection):
    """One that was killed is listed as idle for minutes; a job that waits meanwhile tells."""
    queue = rq.Queue("books", connection=connection)
    worker = rq.Worker([queue], connection=connection)
    worker.register_birth()
    worker.set_state("idle")
    job = queue.enqueue("rq_jobs.succeed")
    poll(queue).ask()
    assert value(recorded, FORECAST_WORKER_UTILIZATION_PERCENT) == 0
    set_age(connection, job, 60)
    poll(queue).ask()
    assert value(recorded, FORECAST_WORKER_UTILIZATION_PERCENT) == 100


def test_waiting_jobs_without_a_worker_are_full_utilization(recorded, connection):
    """Nobody is there to do what is waiting; with nothing waiting, nobody is missed."""
    queue = rq.Queue("books", connection=connection)
    worker = rq.Worker([queue], connection=connection)
    worker.register_birth()
    worker.register_death()
    queue.enqueue("rq_jobs.succeed")
    poll(queue).ask()
    assert value(recorded, FORECAST_WORKER_UTILIZATION_PERCENT) == 100
    queue.empty()
    poll(queue).ask()
    assert value(recorded, FORECAST_WORKER_UTILIZATION_PERCENT) == 0


@pytest.mark.parametrize("options", [{}, {"decode_responses": True}, {"db": 3}, {"protocol": 3}])
def test_the_own_connection_is_as_the_applications(recorded, tmp_path, options):
    """Password, database and socket are those of the queue's own connection."""
    socket = tmp_path / "redis.sock"
    with Redis(tmp_path, args=["--unixsocket", str(socket)]) as server:
        with redis.Redis(port=server.port) as client:
            client.config_set("requirepass", "secret")
        for where in ({"port": server.port}, {"unix_socket_path": str(socket)}):
            with redis.Redis(**where, password="secret", **options) as client:
                queue = rq.Queue("books", connection=client)
                queue.push_job_id("one")
                poll(queue).ask()
    assert value(recorded, FORECAST_QUEUE_DEPTH) == 2


def test_a_server_that_is_gone_is_an_error_to_the_poll(recorded):
    """So that the poll is told ill, and no gauge says that the queue is empty."""
    with redis.Redis(port=free_port()) as client, pytest.raises(redis.ConnectionError):
        poll(rq.Queue("books", connection=client)).ask()
    assert not list(recorded().of(FORECAST_QUEUE_DEPTH))
