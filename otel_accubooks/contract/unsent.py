"""What the processes of a service tell each other and no backend: the state behind its endpoints."""

from __future__ import annotations

from otel_accubooks.contract.metric import Across, Label, Metric

COMPONENTS = ("database", "cache", "queue")
CHECK_SECONDS = 5.0  # a check is made as often as this, or as metrics are sent if that is oftener

_TARGET = (Label("component", COMPONENTS), Label("target"))
_POOL = (Label("pool"),)
_QUEUE = (Label("queue"),)


def _state(
    name: str, unit: str, description: str, labels: tuple[Label, ...], across: Across
) -> Metric:
    return Metric(name, "unsent", "gauge", unit, description, labels, across)


TARGET_HEALTHY = _state("target_healthy", "1", "1 if the last check succeeded", _TARGET, "min")
TARGET_ANSWERED_AT = _state(
    "target_answered_at", "s", "Unix time of the last check that succeeded; below 0: forgotten",
    _TARGET, "max",
)  # fmt: skip

DB_POOL_OPEN_CONNECTIONS = _state(
    "db_pool_open_connections", "{connection}", "Connections open, idle or not", _POOL, "sum"
)
DB_POOL_WAITING = _state(
    "db_pool_waiting", "{request}", "Checkouts waiting for a connection", _POOL, "sum"
)
DB_POOL_IDLE_TIMEOUT_MS = _state(
    "db_pool_idle_timeout_ms", "ms", "Longest idle time; none: no series", _POOL, "max"
)
DB_POOL_CONNECTION_TIMEOUT_MS = _state(
    "db_pool_connection_timeout_ms", "ms", "Longest wait for a connection; none: no series",
    _POOL, "max",
)  # fmt: skip

QUEUE_WORKERS = _state("queue_workers", "{worker}", "Places in which jobs run", _QUEUE, "sum")
QUEUE_WORKERS_BUSY = _state("queue_workers_busy", "{worker}", "Those that run a job", _QUEUE, "sum")
QUEUE_UNATTENDED = _state(
    "queue_unattended", "1", "1 where the broker knows of no worker, on any host", _QUEUE, "max"
)

UNSENT: dict[str, Metric] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}
