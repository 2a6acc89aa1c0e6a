"""The four dashboards: who looks at them, and what each panel asks."""

from __future__ import annotations

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.alerts import BY_NAME as ALERTS
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.panel import Curve, Dashboard, Kind, Panel, Section, Threshold
from otel_accubooks.contract.query import (
    DAY,
    HOUR,
    INSTANCE,
    WINDOW,
    Growth,
    Last,
    Mean,
    Peak,
    Quantile,
    Query,
    Series,
    Share,
    Where,
)

_SECONDS_A_MINUTE = 60.0
_REQUESTS = Series(m.HTTP_REQUESTS_TOTAL.name)
_SERVER_ERRORS = Series(m.HTTP_REQUESTS_TOTAL.name, (Where("status_code", "5", prefix=True),))
_READS = Series(m.CACHE_HITS_TOTAL.name), Series(m.CACHE_MISSES_TOTAL.name)


def _last(metric: Metric, *by: str) -> Last:
    return Last(Series(metric.name), by)


def _grown(metric: Metric, window: float, *by: str, where: tuple[Where, ...] = ()) -> Growth:
    return Growth((Series(metric.name, where),), window, by=by)


def _rate(metric: Metric, *by: str) -> Growth:
    return Growth((Series(metric.name),), WINDOW, per=1, by=by)


def _quantiles(metric: Metric, *shares: float, by: tuple[str, ...] = ()) -> tuple[Curve, ...]:
    return tuple(Curve(f"p{100 * q:g}", Quantile(q, Series(metric.name), by=by)) for q in shares)


def _limits(yellow: str | None, red: str | None) -> tuple[Threshold, ...]:
    """The thresholds of two alerts, the less urgent first."""
    colours = ((yellow, "yellow"), (red, "red"))
    found = [(ALERTS[name].conditions[0], colour) for name, colour in colours if name]
    return tuple(
        Threshold(condition.threshold, "red" if colour == "red" else "yellow",
                  below=condition.comparison == "<")
        for condition, colour in found
    )  # fmt: skip


def _lines(title: str, unit: str, *curves: Curve, limits: tuple[Threshold, ...] = ()) -> Panel:
    return Panel(title, "lines", unit, curves, limits)


def _one(
    title: str, kind: Kind, unit: str, query: Query, limits: tuple[Threshold, ...] = (),
    *, name: str = "", most: float | None = None,
) -> Panel:  # fmt: skip
    return Panel(title, kind, unit, (Curve(name or title, query),), limits, most)


def _hour_and_day(title: str, unit: str, hour: Query, day: Query) -> Panel:
    return Panel(title, "stat", unit, (Curve("1 h", hour), Curve("24 h", day)))


_LATENCY = Series(m.HTTP_REQUEST_DURATION_MS.name)
_ERRORS = _limits("ErrorRateElevated", "HighErrorRate")
_POOL = _limits("DatabasePoolUtilizationWarning", "DatabasePoolExhaustion")
_ACTIVE_USERS = _last(m.ACTIVE_USERS_CONCURRENT)
_WAIT = _limits("DatabaseConnectionWaitHigh", None)

EXECUTIVE_OVERVIEW = Dashboard(
    "executive_overview", "Executive Overview", ("executives",), 30, HOUR,
    (
        Section("Now", (
            Panel("System Status", "status", "1"),
            _one("Active Users", "stat", "{user}", _last(m.ACTIVE_USERS_CONCURRENT)),
            _hour_and_day(
                "Error Rate", "%",
                Share(_SERVER_ERRORS, (_REQUESTS,), HOUR), Share(_SERVER_ERRORS, (_REQUESTS,), DAY),
            ),
            _hour_and_day(
                "p95 Latency", "ms", Quantile(0.95, _LATENCY, HOUR), Quantile(0.95, _LATENCY, DAY)
            ),
            _hour_and_day(
                "Forecasts Generated", "{forecast}",
                _grown(m.FORECASTS_GENERATED_TOTAL, HOUR), _grown(m.FORECASTS_GENERATED_TOTAL, DAY),
            ),
            _one("Tier Distribution", "pie", "{user}", _last(m.USERS_BY_TIER, "tier"), name="{tier}"),
            _one("Database Pool Utilization", "gauge", "%", _last(m.DB_POOL_UTILIZATION_PERCENT),
                 _POOL, most=100),
        )),
        Section("Alerts", (Panel("Recent Alerts", "alerts", "1", span=DAY),)),
    ),
    public=True,
)  # fmt: skip

OPERATIONS = Dashboard(
    "operations", "Operations", ("operations", "engineering"), 10, HOUR,
    (
        Section("API Performance", (
            _lines("Request Rate", "{request}/s", Curve("requests", _rate(m.HTTP_REQUESTS_TOTAL)),
                   limits=_limits("RequestRateUnusual", None)),
            _lines("Latency", "ms",
                   *_quantiles(m.HTTP_REQUEST_DURATION_MS, 0.5, 0.75, 0.95, 0.99),
                   limits=_limits(None, "HighLatency")),
            _lines("Error Rate", "%", Curve("5xx", Share(_SERVER_ERRORS, (_REQUESTS,))),
                   limits=_ERRORS),
            _lines("Answers by Status Code", "{request}/s",
                   Curve("{status_code}", _rate(m.HTTP_REQUESTS_TOTAL, "status_code"))),
        )),
        Section("Database Performance", (
            _lines("Active Connections", "{connection}",
                   Curve("{pool}", _last(m.DB_ACTIVE_CONNECTIONS, "pool"))),
            _lines("Pool Utilization", "%",
                   Curve("{pool}", _last(m.DB_POOL_UTILIZATION_PERCENT, "pool")), limits=_POOL),
            _lines("Query Latency", "ms", *_quantiles(m.DB_QUERY_DURATION_MS, 0.5, 0.95, 0.99),
                   limits=_limits("DatabaseQueryLatencyHigh", None)),
            _lines("Connection Wait Time", "ms",
                   *_quantiles(m.DB_CONNECTION_WAIT_TIME_MS, 0.95, 0.99), limits=_WAIT),
        )),
        Section("Cache Performance", (
            _lines("Memory Usage", "%", Curve("used", _last(m.CACHE_MEMORY_USAGE_PERCENT)),
                   limits=_limits("RedisMemoryWarning", "RedisMemoryCritical")),
            _lines("Hit Rate", "%", Curve("hits", Share(_READS[0], _READS)),
                   limits=_limits(None, "CacheHitRateLow")),
            _lines("Evictions", "{key}/min",
                   Curve("evicted", Last(Series(m.CACHE_EVICTION_RATE_PER_SEC.name),
                                         scale=_SECONDS_A_MINUTE)),
                   limits=_limits("CacheEvictionsHigh", None)),
            _lines("Cache Latency", "ms",
                   *_quantiles(m.CACHE_OPERATION_DURATION_MS, 0.5, 0.95, 0.99),
                   limits=_limits("CacheLatencyHigh", None)),
        )),
        Section("Queue Performance", (
            _lines("Queue Depth", "{job}", Curve("{queue}", _last(m.FORECAST_QUEUE_DEPTH, "queue")),
                   limits=_limits(None, "ForecastQueueDepthHigh")),
            _lines("Worker Utilization", "%",
                   Curve("{queue}", _last(m.FORECAST_WORKER_UTILIZATION_PERCENT, "queue")),
                   limits=_limits("ForecastWorkersSaturated", None)),
            _lines("Job Processing Time", "s",
                   *_quantiles(m.FORECAST_JOB_DURATION_SECONDS, 0.5, 0.95),
                   limits=_limits("ForecastJobsSlow", None)),
            _lines("Oldest Job", "s",
                   Curve("{queue}", _last(m.FORECAST_OLDEST_JOB_AGE_SECONDS, "queue"))),
        )),
        Section("System Resources", (
            _lines("CPU", "%", Curve("{instance}", _last(m.SYSTEM_CPU_USAGE_PERCENT, INSTANCE))),
            _lines("Memory", "%",
                   Curve("{instance}", _last(m.SYSTEM_MEMORY_USAGE_PERCENT, INSTANCE))),
            _lines("Network I/O", "By/s",
                   Curve("{direction}", _rate(m.SYSTEM_NETWORK_IO_BYTES_TOTAL, "direction"))),
            _lines("Disk I/O", "By/s",
                   Curve("{direction}", _rate(m.SYSTEM_DISK_IO_BYTES_TOTAL, "direction"))),
        )),
    ),
    spans=(HOUR, DAY, 3 * DAY),
)  # fmt: skip

DATABASE_PERFORMANCE = Dashboard(
    "database_performance", "Database Performance", ("engineering",), 10, HOUR,
    (
        Section("Connections", (
            _lines("Active Connections", "{connection}",
                   Curve("{pool}", _last(m.DB_ACTIVE_CONNECTIONS, "pool"))),
            _one("Pool Utilization Now", "gauge", "%", _last(m.DB_POOL_UTILIZATION_PERCENT, "pool"),
                 _POOL, name="{pool}", most=100),
            _lines("Pool Utilization", "%",
                   Curve("{pool}", _last(m.DB_POOL_UTILIZATION_PERCENT, "pool")), limits=_POOL),
            _lines("Connection Wait Time", "ms",
                   *_quantiles(m.DB_CONNECTION_WAIT_TIME_MS, 0.95, 0.99), limits=_WAIT),
            _lines("Connection Errors", "{error}/s",
                   Curve("{error_type}", _rate(m.DB_CONNECTION_ERRORS_TOTAL, "error_type"))),
            Panel("Pool Configuration", "stat", "{connection}", (
                Curve("most, {pool}", _last(m.DB_POOL_MAX_CONNECTIONS, "pool")),
                Curve("least, {pool}", _last(m.DB_POOL_MIN_CONNECTIONS, "pool")),
            )),
        )),
        Section("Queries", (
            _lines("p95 Query Latency by Type", "ms",
                   Curve("{query_type}", Quantile(0.95, Series(m.DB_QUERY_DURATION_MS.name),
                                                  by=("query_type",))),
                   limits=_limits("DatabaseQueryLatencyHigh", None)),
        )),
    ),
)  # fmt: skip


def _upgrades(from_tier: str, to_tier: str) -> Curve:
    where = Where("from_tier", from_tier), Where("to_tier", to_tier)
    return Curve(f"{from_tier} to {to_tier}", _grown(m.UPGRADE_CONVERSIONS_TOTAL, DAY, where=where))


BUSINESS_METRICS = Dashboard(
    "business_metrics", "Business Metrics", ("product",), 300, DAY,
    (
        Section("User Activity", (
            _lines("Active Users", "{user}",
                   Curve("now", _ACTIVE_USERS),
                   Curve("most in 1 h", Peak(_ACTIVE_USERS, HOUR)),
                   Curve("most in 24 h", Peak(_ACTIVE_USERS, DAY)),
                   Curve("sessions", _last(m.USER_SESSIONS_ACTIVE)),
                   limits=_limits("ActiveUsersNearCapacity", None)),
            _hour_and_day("Logins", "{login}",
                          _grown(m.USER_LOGINS_TOTAL, HOUR), _grown(m.USER_LOGINS_TOTAL, DAY)),
            _lines("Session Duration", "s",
                   Curve("mean", Mean(Series(m.USER_SESSION_DURATION_SECONDS.name), HOUR)),
                   Curve("p95", Quantile(0.95, Series(m.USER_SESSION_DURATION_SECONDS.name), HOUR))),
        )),
        Section("Feature Usage", (
            _one("Scenarios Created", "bars", "{scenario}/h",
                 _grown(m.SCENARIOS_CREATED_TOTAL, HOUR, "tier"), name="{tier}"),
            _one("Forecasts Generated", "bars", "{forecast}/h",
                 _grown(m.FORECASTS_GENERATED_TOTAL, HOUR, "tier"),
                 _limits("ForecastVolumeUnusual", None), name="{tier}"),
            _one("Trust Layer Usage", "bars", "{interaction}/h",
                 _grown(m.TRUST_LAYER_USAGE_TOTAL, HOUR, "component"), name="{component}"),
        )),
        Section("Tier Metrics", (
            _one("Users by Tier", "pie", "{user}", _last(m.USERS_BY_TIER, "tier"), name="{tier}"),
            _one("Tier Limit Hits", "bars", "{hit}/h",
                 _grown(m.TIER_LIMIT_HITS_TOTAL, HOUR, "tier", "limit_type"),
                 _limits("TierLimitHitsHigh", None), name="{tier} {limit_type}"),
            Panel("Upgrade Conversions", "stat", "{conversion}/d",
                  (_upgrades("FREE", "STARTER"), _upgrades("STARTER", "PRO"))),
        )),
        Section("Beta Metrics", (
            _one("Trust Rate", "gauge", "%", _last(m.BETA_TRUST_RATE_PERCENT), most=100),
            _one("Support Tickets", "bars", "{ticket}/d",
                 _grown(m.SUPPORT_TICKETS_TOTAL, DAY, "priority"), name="{priority}"),
            _one("NPS Score", "stat", "1", _last(m.NPS_SCORE)),
        )),
    ),
)  # fmt: skip

DASHBOARDS = (EXECUTIVE_OVERVIEW, OPERATIONS, DATABASE_PERFORMANCE, BUSINESS_METRICS)
