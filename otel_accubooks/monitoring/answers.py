"""The JSON answers: what each key of the contract is, out of what shared memory holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract import unsent as u
from otel_accubooks.contract.endpoints import (
    DEGRADED,
    HEALTH,
    HEALTH_DETAILED,
    HEALTHY,
    NOT_CONFIGURED,
    POOL_CONFIG,
    SUMMARY,
    UNHEALTHY,
    UNKNOWN,
    Endpoint,
)
from otel_accubooks.contract.metric import Metric
from otel_accubooks.monitoring.service import View

Values = dict[str, Any]

# Without these the service cannot do what it is for; without the others it does it more slowly.
ESSENTIAL = ("database", "queue")


def health(view: View) -> Values:
    """The answer of `health`."""
    components = {component: component_status(view, component) for component in u.COMPONENTS}
    values = {"status": status(components), **_moment(view), **components}
    return _answer(HEALTH, values) | _stale(view)


def health_detailed(view: View) -> Values:
    """The answer of `health/detailed`."""
    components = {component: component_status(view, component) for component in u.COMPONENTS}
    moment = _moment(view)
    values = {
        "status": status(components),
        **moment,
        **{f"components.{name}.status": found for name, found in components.items()},
        "components.database.pool.max": view.total(m.DB_POOL_MAX_CONNECTIONS),
        "components.database.pool.min": view.total(m.DB_POOL_MIN_CONNECTIONS),
        **{f"components.database.pool.{name}": n for name, n in _statistics(view).items()},
        "components.application.status": HEALTHY,
        "components.application.uptime": moment["uptime"],
        "components.application.memory": view.total(m.PROCESS_MEMORY_USAGE_BYTES),
        "components.application.cpu": view.total(m.PROCESS_CPU_USAGE_PERCENT),
    }
    return _answer(HEALTH_DETAILED, values) | _stale(view)


def pool_config(view: View) -> Values:
    """The answer of `pool-config`."""
    values = {
        "configuration.max": view.total(m.DB_POOL_MAX_CONNECTIONS),
        "configuration.min": view.total(m.DB_POOL_MIN_CONNECTIONS),
        "configuration.idleTimeoutMillis": view.highest(u.DB_POOL_IDLE_TIMEOUT_MS),
        "configuration.connectionTimeoutMillis": view.highest(u.DB_POOL_CONNECTION_TIMEOUT_MS),
        **{f"current_stats.{name}": n for name, n in _statistics(view).items()},
        "timestamp": _timestamp(view),
    }
    return _answer(POOL_CONFIG, values)


def summary(view: View) -> Values:
    """The answer of `summary`."""
    uptime = _whole(view.highest(m.SYSTEM_UPTIME_SECONDS))
    values = {
        "timestamp": _timestamp(view),
        "database.active_connections": view.total(m.DB_ACTIVE_CONNECTIONS),
        "database.pool_utilization": view.highest(m.DB_POOL_UTILIZATION_PERCENT),
        "database.pool_max": view.total(m.DB_POOL_MAX_CONNECTIONS),
        "database.pool_min": view.total(m.DB_POOL_MIN_CONNECTIONS),
        "api.total_requests": view.total(m.HTTP_REQUESTS_TOTAL) or 0,
        "api.error_rate": _or_idle(view, m.HTTP_ERROR_RATE_PERCENT),
        "cache.memory_usage_percent": view.highest(m.CACHE_MEMORY_USAGE_PERCENT),
        "cache.hit_rate": view.highest(m.CACHE_HIT_RATE_PERCENT) if _cache_was_read(view) else None,
        "queue.depth": view.total(m.FORECAST_QUEUE_DEPTH),
        "queue.worker_utilization": view.highest(m.FORECAST_WORKER_UTILIZATION_PERCENT),
        "business.active_users": view.highest(m.ACTIVE_USERS_CONCURRENT),
        "business.forecasts_generated": view.total(m.FORECASTS_GENERATED_TOTAL),
        "system.uptime": uptime,
        "system.health_status": view.highest(m.SYSTEM_HEALTH_STATUS),
    }
    return _answer(SUMMARY, values) | _stale(view)


def component_status(view: View, component: str) -> str:
    """healthy, unhealthy, unknown or not_configured, as the contract describes them."""
    checked = [target.healthy for target in view.targets if target.component == component]
    if checked:
        return HEALTHY if all(checked) else UNHEALTHY
    used = any(
        point.metric.type == "gauge" or point.value > 0 or any(point.counts)
        for point in view.points
        if point.metric.group == component and point.metric.ratio is None
    )
    return UNKNOWN if used else NOT_CONFIGURED


def status(components: Mapping[str, str]) -> str:
    """The status of the service, from those of its components."""
    unhealthy = {name for name, found in components.items() if found == UNHEALTHY}
    if unhealthy.intersection(ESSENTIAL):
        return UNHEALTHY
    return DEGRADED if unhealthy else HEALTHY


def _cache_was_read(view: View) -> bool:
    return any(view.total(metric) for metric in (m.CACHE_HITS_TOTAL, m.CACHE_MISSES_TOTAL))


def _or_idle(view: View, metric: Metric) -> float | None:
    # A service that has answered nothing yet has failed at nothing.
    assert metric.ratio is not None
    found = view.highest(metric)
    return metric.ratio.idle if found is None else found


def _statistics(view: View) -> Values:
    opened, active = view.total(u.DB_POOL_OPEN_CONNECTIONS), view.total(m.DB_ACTIVE_CONNECTIONS)
    # Read one after the other, while connections come and go.
    idle = None if opened is None or active is None else max(opened - active, 0.0)
    return {
        "total_count": opened,
        "idle_count": idle,
        "waiting_count": view.total(u.DB_POOL_WAITING),
    }


def _moment(view: View) -> Values:
    return {
        "timestamp": _timestamp(view),
        "uptime": _whole(view.highest(m.SYSTEM_UPTIME_SECONDS)),
    }


def _timestamp(view: View) -> str:
    return iso(view.now)


def iso(seconds: float) -> str:
    """Unix seconds as UTC, ISO 8601 with Z, such as 2026-02-01T16:33:00Z."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def _stale(view: View) -> Values:
    stale = dict.fromkeys(target.component for target in view.targets if target.stale)
    return {"stale": list(stale)} if stale else {}


def _answer(endpoint: Endpoint, values: Values) -> Values:
    """The values under exactly the keys of the contract, nested where those are dotted."""
    answer: Values = {}
    for key in endpoint.keys:
        *folders, last = key.name.split(".")
        place = answer
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = _plain(values.pop(key.name))
    assert not values, values
    return answer


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else value
    return value
