"""Celery's queues, asked in the background for what waits in them, over connections of our own.

A Redis broker tells how many messages wait and when the oldest could first have been taken; others
tell how many, by a passive declaration. Messages that a worker has taken do not wait any more.
"""

from __future__ import annotations

import json
import time
from typing import Any

from otel_accubooks.contract.metrics import FORECAST_OLDEST_JOB_AGE_SECONDS, FORECAST_QUEUE_DEPTH
from otel_accubooks.contract.unsent import QUEUE_UNATTENDED
from otel_accubooks.instrument.polling import polls
from otel_accubooks.recorder.process import recorder

TIMEOUT_SECONDS = 2.0
READY_AT = "otel_accubooks_ready_at"  # a header of ours: Unix seconds, of publishing or of the ETA

_depth = recorder.gauge(FORECAST_QUEUE_DEPTH)
_oldest = recorder.gauge(FORECAST_OLDEST_JOB_AGE_SECONDS)
_unattended = recorder.gauge(QUEUE_UNATTENDED)

_watched: set[tuple[int, str]] = set()


def watch(app: Any, channel: Any, queue: str) -> None:
    """Has `queue` asked in the background from now on. Asks nothing itself.

    `channel` is a kombu channel that is in use, so that all that it takes to connect is imported.
    """
    if (id(app), queue) in _watched:
        return
    _watched.add((id(app), queue))
    client = channel.connection.client
    kind = client.transport.driver_type
    if kind == "memory":
        return  # of this process alone
    if kind == "redis":
        from otel_accubooks.instrument.redis_place import of_pool

        place = f"redis {of_pool(channel.pool)}"
        ask = RedisQueue(queue, channel, app.conf.worker_enable_remote_control).ask
    else:
        place = f"{kind} {client.hostname}:{client.port}/{client.virtual_host}"
        ask = DeclaredQueue(queue, app, kind).ask
    polls.add(f"queue celery {place} {queue}", ask, "queue")


class RedisQueue:
    """A queue in Redis: a list for each step of priority, the oldest message last."""

    def __init__(self, queue: str, channel: Any, control: bool) -> None:
        """`control`: workers listen for orders, by which one sees that there are any."""
        # Only here is redis-py known to be there; and not in the thread that asks, where an import
        # beside a fork would hang the child.
        from redis.exceptions import ResponseError

        from otel_accubooks.instrument.redis_connections import own_connection

        self._own_connection = own_connection
        self._refused = ResponseError
        self._queue = queue
        self._control = control
        self._pool = channel.pool
        self._keys = [
            f"{channel.global_keyprefix}{channel._q_for_pri(queue, step)}"
            for step in channel.priority_steps
        ]

    def ask(self) -> None:
        """Asks, and sets the gauges. Raises what redis raises where nobody answers in time."""
        connection = self._own_connection(self._pool, decode_responses=False)()
        try:
            connection.connect()
            sizes = _answers(connection, *(("LLEN", key) for key in self._keys))
            filled = [key for key, size in zip(self._keys, sizes, strict=True) if size]
            heads = _answers(connection, *(("LINDEX", key, -1) for key in filled))
            unattended = self._control and self._is_unattended(connection)
        finally:
            connection.disconnect()
        _depth.labels(self._queue).set(float(sum(sizes)))
        _oldest.labels(self._queue).set(max(map(_age, heads), default=0.0))
        _unattended.labels(self._queue).set(float(unattended))

    def _is_unattended(self, connection: Any) -> bool:
        """True where no worker listens, whatever queues it serves; False where nobody may know."""
        try:
            (answer,) = _answers(connection, ("CLIENT", "LIST", "TYPE", "pubsub"))
        except self._refused:
            return False
        database = f"db={self._pool.connection_kwargs.get('db') or 0}"
        text = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
        return not any(database in client.split() for client in text.splitlines())


class DeclaredQueue:
    """A queue that a broker of any kind knows by its name."""

    def __init__(self, queue: str, app: Any, kind: str) -> None:
        self._queue = queue
        self._counts_consumers = kind == "amqp"
        limits = {"read_timeout": TIMEOUT_SECONDS, "write_timeout": TIMEOUT_SECONDS}
        self._client = app.connection_for_read(
            connect_timeout=TIMEOUT_SECONDS,
            heartbeat=0,
            transport_options=limits if kind == "amqp" else {},
        )

    def ask(self) -> None:
        """Asks, and sets the gauges. Raises what the broker's library raises."""
        with self._client.clone() as client:
            connection = client.transport.establish_connection()
            try:
                waiting, consumers = self._declare(client, connection)
            finally:
                client.transport.close_connection(connection)
        _depth.labels(self._queue).set(float(waiting))
        if self._counts_consumers:
            _unattended.labels(self._queue).set(float(not consumers))

    def _declare(self, client: Any, connection: Any) -> tuple[int, int]:
        try:
            channel = client.transport.create_channel(connection)
            found = channel.queue_declare(queue=self._queue, passive=True)
        except client.channel_errors:
            return 0, 0  # the broker answers, and has no such queue
        return found.message_count, found.consumer_count


def _answers(connection: Any, *commands: tuple[Any, ...]) -> list[Any]:
    if not commands:
        return []
    connection.send_packed_command(connection.pack_commands(commands))
    return [connection.read_response() for _ in commands]


def _age(message: Any) -> float:
    """Seconds since the message could first be taken; 0 where it does not say."""
    if message is None:
        return 0.0  # taken in the meantime
    ready_at = json.loads(message).get("headers", {}).get(READY_AT)
    return 0.0 if ready_at is None else max(time.time() - float(ready_at), 0.0)
