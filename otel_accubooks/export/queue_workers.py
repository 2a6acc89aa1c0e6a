"""How busy the workers of a queue are, where each tells only of itself."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import (
    FORECAST_QUEUE_DEPTH,
    FORECAST_WORKER_UTILIZATION_PERCENT,
)
from otel_accubooks.contract.unsent import QUEUE_UNATTENDED, QUEUE_WORKERS, QUEUE_WORKERS_BUSY
from otel_accubooks.recorder.totals import Point, Totals


def utilization(totals: Totals) -> Iterator[Point]:
    """A percentage for each queue of which it is known and was not recorded as one.

    Without a worker in this service, it is known only where the broker says that there is none on
    any other host either: then it is 100 while jobs wait, else 0.
    """
    told = _values(totals, FORECAST_WORKER_UTILIZATION_PERCENT)
    depths = _values(totals, FORECAST_QUEUE_DEPTH)
    busy = _values(totals, QUEUE_WORKERS_BUSY)
    workers = {queue: count for queue, count in _values(totals, QUEUE_WORKERS).items() if count}
    unattended = {queue for queue, says in _values(totals, QUEUE_UNATTENDED).items() if says}
    for queue in sorted((workers.keys() | unattended) - told.keys()):
        if queue in workers:
            percent = 100.0 * min(busy.get(queue, 0.0) / workers[queue], 1.0)
        else:
            percent = 100.0 if depths.get(queue) else 0.0
        yield Point(FORECAST_WORKER_UTILIZATION_PERCENT, (queue,), value=percent)


def _values(totals: Totals, metric: Metric) -> dict[str, float]:
    return {point.labels[0]: point.value for point in totals.of(metric) if not point.overflow}
