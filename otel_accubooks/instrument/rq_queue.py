"""RQ's queues, asked in the background for their depth, their oldest job and their workers."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from otel_accubooks.contract.metrics import (
    FORECAST_OLDEST_JOB_AGE_SECONDS,
    FORECAST_QUEUE_DEPTH,
    FORECAST_WORKER_UTILIZATION_PERCENT,
)
from otel_accubooks.instrument.polling import polls
from otel_accubooks.instrument.redis_connections import own_connection
from otel_accubooks.instrument.redis_place import of_pool
from otel_accubooks.recorder.process import recorder

PAGE = 100  # jobs looked at together: one that was put in front may be younger than those behind it
PAGES = 20  # enough to get past jobs whose hashes have expired
TAKEN_SECONDS = (
    10.0  # a job that has waited for longer waits for a worker: an idle one takes it at once
)

_depth = recorder.gauge(FORECAST_QUEUE_DEPTH)
_oldest = recorder.gauge(FORECAST_OLDEST_JOB_AGE_SECONDS)
_utilization = recorder.gauge(FORECAST_WORKER_UTILIZATION_PERCENT)

_watched: set[str] = set()


def watch(queue: Any) -> None:
    """Has `queue`, an rq.Queue, asked in the background from now on. Asks nothing itself."""
    pool = queue.connection.connection_pool
    name = f"queue {of_pool(pool)} {queue.name}"
    if name not in _watched:
        polls.add(name, QueuePoll(queue, pool).ask, "queue")
        _watched.add(name)


class QueuePoll:
    """The questions about one queue, on a connection of their own.

    A bare connection, so that nothing that watches Redis clients takes them for the application's.
    """

    def __init__(self, queue: Any, pool: Any) -> None:
        # Not in the thread that asks: an import there, beside a fork, would hang the child.
        from rq.worker_registration import WORKERS_BY_QUEUE_KEY

        self._name = queue.name
        self._jobs_key = queue.key
        self._job_prefix = queue.job_class.redis_job_namespace_prefix
        self._workers_key = WORKERS_BY_QUEUE_KEY % queue.name
        self._pool = pool

    def ask(self) -> None:
        """Asks, and sets the gauges. Raises what redis raises where nobody answers in time."""
        connection = self._connection()
        try:
            connection.connect()
            depth, worker_keys = _answers(
                connection, ("LLEN", self._jobs_key), ("SMEMBERS", self._workers_key)
            )
            age = self._oldest_age(connection)
            live, busy = self._workers(connection, worker_keys)
        finally:
            connection.disconnect()
        _depth.labels(self._name).set(float(depth))
        _oldest.labels(self._name).set(age if depth else 0.0)
        # RQ takes a worker that was killed for an idle one, for up to eight minutes.
        nobody_idle = depth and (not live or age > TAKEN_SECONDS)
        share = 100.0 * busy / live if live else 0.0
        _utilization.labels(self._name).set(100.0 if nobody_idle else share)

    def _connection(self) -> Any:
        """A connection as the queue's own, with short time limits."""
        connection = own_connection(
            self._pool, encoding="utf-8", encoding_errors="replace", decode_responses=True
        )
        return connection()

    def _oldest_age(self, connection: Any) -> float:
        for start in range(0, PAGE * PAGES, PAGE):
            (ids,) = _answers(connection, ("LRANGE", self._jobs_key, start, start + PAGE - 1))
            asked = [("HGET", self._job_prefix + job_id, "enqueued_at") for job_id in ids]
            since = [_timestamp(answer) for answer in _answers(connection, *asked) if answer]
            if since:
                return max(time.time() - min(since), 0.0)
            if len(ids) < PAGE:
                break
        return 0.0

    def _workers(self, connection: Any, keys: Any) -> tuple[int, int]:
        asked = [("HMGET", key, "state", "last_heartbeat", "death") for key in keys]
        states = [
            state
            for state, heartbeat, death in _answers(connection, *asked)
            if (state or heartbeat) and not death
        ]
        return len(states), states.count("busy")


def _answers(connection: Any, *commands: tuple[Any, ...]) -> list[Any]:
    if not commands:
        return []
    connection.send_packed_command(connection.pack_commands(commands))
    return [connection.read_response() for _ in commands]


def _timestamp(text: str) -> float:
    moment = datetime.fromisoformat(text.removesuffix("Z"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
