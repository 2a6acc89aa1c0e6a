"""The JSON answers, from what shared memory holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from otel_accubooks.contract import endpoints as e
from otel_accubooks.contract import metrics as m
from otel_accubooks.contract import unsent as u
from otel_accubooks.contract.metric import Metric
from otel_accubooks.monitoring import answers
from otel_accubooks.monitoring.service import View
from otel_accubooks.recorder.health import Target
from otel_accubooks.recorder.totals import Point

ANSWERS: dict[e.Endpoint, Callable[[View], dict[str, Any]]] = {
    e.HEALTH: answers.health,
    e.HEALTH_DETAILED: answers.health_detailed,
    e.POOL_CONFIG: answers.pool_config,
    e.SUMMARY: answers.summary,
}


def view(*points: Point, targets: tuple[Target, ...] = ()) -> View:
    unsent = [point for point in points if point.metric.group == "unsent"]
    return View(1_770_000_000.5, [p for p in points if p not in unsent], unsent, list(targets))


def point(metric: Metric, value: float, *labels: str) -> Point:
    return Point(metric, labels, value=value)


def target(component: str, *, answered: bool = True, stale: bool = False) -> Target:
    return Target(component, f"{component} x", answered, stale)


def dotted(answer: dict[str, Any], before: str = "") -> list[str]:
    names: list[str] = []
    for key, value in answer.items():
        nested = isinstance(value, dict)
        names += dotted(value, f"{before}{key}.") if nested else [before + key]
    return names


@pytest.mark.parametrize("endpoint", ANSWERS, ids=lambda endpoint: endpoint.name)
def test_the_keys_are_exactly_the_contracts(endpoint: e.Endpoint) -> None:
    """Also of a service of which nothing is known; every value that is not known is null."""
    answer = ANSWERS[endpoint](view())
    assert dotted(answer) == [key.name for key in endpoint.keys]
    assert re.fullmatch(r"2026-02-02T\d\d:\d\d:\d\dZ", answer["timestamp"])


def test_nothing_known_is_null_and_nothing_counted_is_0() -> None:
    """No pool has no maximum; a service that was asked nothing was asked 0 times."""
    summary = answers.summary(view())
    assert set(summary["database"].values()) == {None}
    assert summary["cache"] == {"memory_usage_percent": None, "hit_rate": None}
    assert summary["queue"] == {"depth": None, "worker_utilization": None}
    assert summary["business"] == {"active_users": None, "forecasts_generated": None}
    assert summary["api"] == {"total_requests": 0, "error_rate": 0}


def test_a_cache_that_was_never_read_has_no_hit_rate() -> None:
    """While one that nobody reads for the moment has missed nothing."""
    rate = point(m.CACHE_HIT_RATE_PERCENT, 100)
    never = view(point(m.CACHE_HITS_TOTAL, 0), point(m.CACHE_MISSES_TOTAL, 0), rate)
    assert answers.summary(never)["cache"]["hit_rate"] is None
    resting = view(point(m.CACHE_HITS_TOTAL, 0), point(m.CACHE_MISSES_TOTAL, 1), rate)
    assert answers.summary(resting)["cache"]["hit_rate"] == 100


def test_the_summary_adds_up_what_adds_up_and_has_the_worst_of_the_rest() -> None:
    """Sums of counts over labels, the highest of percentages; seconds are whole."""
    summary = answers.summary(
        view(
            point(m.HTTP_REQUESTS_TOTAL, 10, "GET", "/a", "200"),
            point(m.HTTP_REQUESTS_TOTAL, 2, "GET", "/b", "500"),
            Point(m.HTTP_REQUESTS_TOTAL, (), value=3, overflow=True),
            point(m.HTTP_ERROR_RATE_PERCENT, 12.5),
            point(m.DB_ACTIVE_CONNECTIONS, 3, "books"),
            point(m.DB_ACTIVE_CONNECTIONS, 4, "audit"),
            point(m.DB_POOL_UTILIZATION_PERCENT, 30, "books"),
            point(m.DB_POOL_UTILIZATION_PERCENT, 80, "audit"),
            point(m.FORECAST_QUEUE_DEPTH, 5, "a"),
            point(m.FORECAST_QUEUE_DEPTH, 6, "b"),
            point(m.FORECASTS_GENERATED_TOTAL, 7, "FREE"),
            point(m.FORECASTS_GENERATED_TOTAL, 8, "PRO"),
            point(m.SYSTEM_UPTIME_SECONDS, 61.9),
            point(m.SYSTEM_HEALTH_STATUS, 1),
        )
    )
    assert summary["api"] == {"total_requests": 15, "error_rate": 12.5}
    assert summary["database"]["active_connections"] == 7
    assert summary["database"]["pool_utilization"] == 80
    assert summary["queue"]["depth"] == 11
    assert summary["business"]["forecasts_generated"] == 15
    assert summary["system"] == {"uptime": 61, "health_status": 1}


def test_the_pools_are_added_up_and_a_missing_setting_is_null() -> None:
    """Idle are those that are open and not checked out."""
    found = answers.pool_config(
        view(
            point(m.DB_POOL_MAX_CONNECTIONS, 200, "books"),
            point(m.DB_POOL_MIN_CONNECTIONS, 20, "books"),
            point(m.DB_ACTIVE_CONNECTIONS, 10, "books"),
            point(u.DB_POOL_OPEN_CONNECTIONS, 25, "books"),
            point(u.DB_POOL_WAITING, 0, "books"),
            point(u.DB_POOL_CONNECTION_TIMEOUT_MS, 2000, "books"),
        )
    )
    assert found["configuration"] == {
        "max": 200, "min": 20, "idleTimeoutMillis": None, "connectionTimeoutMillis": 2000,
    }  # fmt: skip
    assert found["current_stats"] == {"total_count": 25, "idle_count": 15, "waiting_count": 0}


@pytest.mark.parametrize(
    ("ill", "status"),
    [
        ((), "healthy"),
        (("cache",), "degraded"),
        (("queue",), "unhealthy"),
        (("database",), "unhealthy"),
        (("database", "cache", "queue"), "unhealthy"),
    ],
)
def test_the_status_is_what_can_still_be_done(ill: tuple[str, ...], status: str) -> None:
    """Without its cache a service is slower, without database or queue it cannot do its work."""
    targets = tuple(target(name, answered=name not in ill) for name in u.COMPONENTS)
    found = answers.health(view(targets=targets))
    assert found["status"] == status
    for name in u.COMPONENTS:
        assert found[name] == ("unhealthy" if name in ill else "healthy")
    assert "stale" not in found


def test_one_of_two_databases_down_is_a_database_down() -> None:
    """The service uses both."""
    targets = (target("database"), target("database", answered=False))
    assert answers.health(view(targets=targets))["database"] == "unhealthy"


def test_what_has_not_been_heard_of_is_unhealthy_and_marked() -> None:
    """The mark is a further key, which is not there while all is fresh."""
    stale = view(targets=(target("cache"), target("database", answered=False, stale=True)))
    for answer in (answers.health(stale), answers.health_detailed(stale)):
        assert answer["status"] == "unhealthy"
        assert answer["stale"] == ["database"]
    assert answers.summary(stale)["stale"] == ["database"]


def test_a_component_that_is_used_and_not_checked_is_unknown() -> None:
    """One that was never used is not_configured; neither makes the service ill."""
    used = answers.health(view(point(m.DB_POOL_MAX_CONNECTIONS, 5, "books")))
    assert (used["status"], used["database"], used["cache"]) == (
        "healthy", "unknown", "not_configured",
    )  # fmt: skip
    # Counters of a library that was imported are there at 0.
    imported = answers.health(
        view(point(m.CACHE_HITS_TOTAL, 0), point(m.CACHE_HIT_RATE_PERCENT, 100))
    )
    assert imported["cache"] == "not_configured"


def test_the_application_is_all_its_processes() -> None:
    """Memory in bytes, CPU in percent of a core."""
    found = answers.health_detailed(
        view(
            point(m.PROCESS_MEMORY_USAGE_BYTES, 4096), point(m.PROCESS_CPU_USAGE_PERCENT, 150.5),
            point(m.SYSTEM_UPTIME_SECONDS, 3.2),
        )
    )["components"]["application"]  # fmt: skip
    assert found == {"status": "healthy", "uptime": 3, "memory": 4096, "cpu": 150.5}
