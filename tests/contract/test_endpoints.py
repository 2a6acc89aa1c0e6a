"""The endpoints as people outside know them: paths, keys and budgets are fixed."""

from __future__ import annotations

from otel_accubooks.contract import endpoints as e

KEYS = {
    "health": "status timestamp uptime database cache queue",
    "health/detailed": (
        "status timestamp uptime components.database.status components.database.pool.max "
        "components.database.pool.min components.database.pool.total_count "
        "components.database.pool.idle_count components.database.pool.waiting_count "
        "components.cache.status components.queue.status components.application.status "
        "components.application.uptime components.application.memory components.application.cpu"
    ),
    "pool-config": (
        "configuration.max configuration.min configuration.idleTimeoutMillis "
        "configuration.connectionTimeoutMillis current_stats.total_count current_stats.idle_count "
        "current_stats.waiting_count timestamp"
    ),
    "summary": (
        "timestamp database.active_connections database.pool_utilization database.pool_max "
        "database.pool_min api.total_requests api.error_rate cache.memory_usage_percent "
        "cache.hit_rate queue.depth queue.worker_utilization business.active_users "
        "business.forecasts_generated system.uptime system.health_status"
    ),
}


def test_the_keys_are_those_that_people_rely_on() -> None:
    """In their order."""
    found = {one.name: " ".join(key.name for key in one.keys) for one in e.ENDPOINTS if one.keys}
    assert found == KEYS


def test_the_paths_are_those_that_people_rely_on() -> None:
    """Five below the prefix, one of them with an alias, and the drill elsewhere."""
    found = {one.name: (one.method, one.paths(), one.budget_ms) for one in e.ENDPOINTS}
    assert found == {
        "metrics": ("GET", ("/api/monitoring/metrics", "/api/metrics"), 100),
        "health": ("GET", ("/api/monitoring/health",), 100),
        "health/detailed": ("GET", ("/api/monitoring/health/detailed",), 500),
        "pool-config": ("GET", ("/api/monitoring/pool-config",), 100),
        "summary": ("GET", ("/api/monitoring/summary",), 200),
        "trigger-errors": ("POST", ("/api/test/trigger-errors",), None),
    }
    assert [one.name for one in e.ENDPOINTS if one.open] == ["health"]


def test_a_prefix_moves_what_is_below_it_alone() -> None:
    """The alias and the drill stay; a slash at the end of the prefix changes nothing."""
    for prefix in ("/ops", "/ops/"):
        assert e.METRICS_PAGE.paths(prefix) == ("/ops/metrics", "/api/metrics")
        assert e.TRIGGER_ERRORS.paths(prefix) == ("/api/test/trigger-errors",)
    assert e.HEALTH.paths("/") == ("/health",)
    assert "/ops/health/" in e.all_paths("/ops")
