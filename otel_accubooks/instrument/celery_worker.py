"""A Celery worker: the queues that it serves, and how many of its places are taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from otel_accubooks.contract.metrics import FORECAST_JOBS_PROCESSED_TOTAL, JOB_STATUSES
from otel_accubooks.contract.unsent import QUEUE_WORKERS, QUEUE_WORKERS_BUSY
from otel_accubooks.instrument.celery_message import name_of
from otel_accubooks.instrument.celery_queue import watch
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.polling import polls
from otel_accubooks.recorder.process import recorder

SAMPLE_SECONDS = 1.0

_places = recorder.gauge(QUEUE_WORKERS)
_busy = recorder.gauge(QUEUE_WORKERS_BUSY)
_processed = recorder.counter(FORECAST_JOBS_PROCESSED_TOTAL)


class Served:
    """The queues that the worker of this process serves."""

    def __init__(self, consumer: Any) -> None:
        from celery.worker import state

        self._state = state
        self._consumer = consumer
        self._pid = os.getpid()
        self._known: set[str] = set()

    def sample(self) -> None:
        """Tells how many places there are and how many are taken; queues come and go by command."""
        if os.getpid() != self._pid:
            return  # a child of the pool, which has inherited this
        queues = {name_of(q): q.name for q in list(_consumed(self._consumer))}
        for label in queues.keys() - self._known:
            self._begin(label, queues[label])
        places = self._places()
        busy = min(len(self._state.active_requests), places)
        for label in self._known:
            _places.labels(label).set(float(places if label in queues else 0))
            _busy.labels(label).set(float(busy if label in queues else 0))

    def _begin(self, label: str, name: str) -> None:
        self._known.add(label)
        for status in JOB_STATUSES:
            _processed.labels(label, status).add(0.0)
        # A broadcast has a queue for each worker, and nothing waits in common.
        if label == name and self._consumer.task_consumer is not None:
            watch(self._consumer.app, self._consumer.task_consumer.channel, name)

    def _places(self) -> int:
        try:
            return int(self._consumer.pool.num_processes or 0)
        except AttributeError:
            return 0  # it is going down


def _consumed(consumer: Any) -> Any:
    return consumer.app.amqp.queues.consume_from.values()


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: Any, c: Any) -> Any:
        result = original(self, c)
        try:
            served = Served(c)
            served.sample()
            polls.add_everywhere(f"celery worker {id(c)}", served.sample, SAMPLE_SECONDS)
        except Exception:
            failed("announcing the queues of a worker")
        return result

    return start


def instrument(module: Any) -> Patches:
    """Measures the workers of this process; `module` is celery.worker.consumer.tasks."""
    patches = Patches()
    patches.wrap(module.Tasks, "start", _starting)
    return patches
