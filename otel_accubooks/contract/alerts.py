"""Every alert: what it watches, from which value on, for how long, how urgent it is."""

from __future__ import annotations

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract import pipeline as p
from otel_accubooks.contract.alert import Alert, Condition, Guard
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.query import (
    DAY,
    HOUR,
    INSTANCE,
    MINUTE,
    Always,
    Growth,
    Last,
    Mean,
    Present,
    Quantile,
    Query,
    Quotient,
    Reachable,
    Series,
    Share,
    Where,
)

WATCHDOG = "Watchdog"  # it fires always
_AT_ONCE = 0.0


def _of(metric: Metric, *where: Where) -> Series:
    return Series(metric.name, where)


def _above(query: Query, threshold: float) -> tuple[Condition, ...]:
    return (Condition(query, ">", threshold),)


def _grows(*metrics: Metric, window: float = 5 * MINUTE, per: float | None = None) -> Growth:
    return Growth(tuple(_of(metric) for metric in metrics), window, per)


def _p95(metric: Metric) -> Quantile:
    return Quantile(0.95, _of(metric))


def _once_a_minute(*metrics: Metric) -> Guard:
    """A share of nearly nothing says nothing: one event a minute is the least."""
    return Guard(_grows(*metrics, per=MINUTE), 1.0)


_REQUESTS = _of(m.HTTP_REQUESTS_TOTAL)
_SERVER_ERRORS = _of(m.HTTP_REQUESTS_TOTAL, Where("status_code", "5", prefix=True))
_ERROR_SHARE = Share(_SERVER_ERRORS, (_REQUESTS,))
_READS = (_of(m.CACHE_HITS_TOTAL), _of(m.CACHE_MISSES_TOTAL))
_POOL_UTILIZATION = Last(_of(m.DB_POOL_UTILIZATION_PERCENT), by=("pool",))
_MEMORY = Last(_of(m.CACHE_MEMORY_USAGE_PERCENT))

ALERTS: tuple[Alert, ...] = (
    # P0
    Alert(
        "HighErrorRate", "P0", "More than {threshold:g} % of the requests fail",
        _above(_ERROR_SHARE, 1), "%", 5 * MINUTE, 5 * MINUTE,
        _once_a_minute(m.HTTP_REQUESTS_TOTAL), mutes=("ErrorRateElevated",),
    ),
    Alert(
        "DatabasePoolExhaustion", "P0", "A connection pool is nearly exhausted",
        _above(_POOL_UTILIZATION, 90), "%", 5 * MINUTE, 5 * MINUTE,
        mutes=(
            "DatabasePoolUtilizationHigh", "DatabasePoolUtilizationWarning",
            "DatabaseConnectionsHigh",
        ),
    ),
    Alert(
        "SystemUnreachable", "P0", "The application does not answer",
        (Condition(Reachable(), "==", 0),), "1", 3 * MINUTE, 5 * MINUTE,
        mutes=("SystemUnhealthy", "NoActiveUsers"),
    ),
    Alert(
        "SystemUnhealthy", "P0", "A database, cache or queue of the application does not answer",
        (Condition(Last(_of(m.SYSTEM_HEALTH_STATUS)), "==", 0),), "1", 5 * MINUTE, 5 * MINUTE,
    ),
    Alert(
        "DataIntegrityIssue", "P0", "A calculation went wrong, or a tenant's data was reached for",
        _above(_grows(m.CALCULATION_ERRORS_TOTAL, m.TENANT_ISOLATION_VIOLATIONS_TOTAL), 0),
        "{event}", 0, _AT_ONCE, escalates=True,
    ),
    # P1
    Alert(
        "HighLatency", "P1", "One request in twenty takes longer than {threshold:g} ms",
        _above(_p95(m.HTTP_REQUEST_DURATION_MS), 1000), "ms", 5 * MINUTE, 15 * MINUTE,
        mutes=("LatencyTrendDegradation",),
    ),
    Alert(
        "ForecastQueueDepthHigh", "P1", "More than {threshold:g} forecasts wait",
        _above(Last(_of(m.FORECAST_QUEUE_DEPTH), by=("queue",)), 200), "{job}",
        10 * MINUTE, 15 * MINUTE,
    ),
    Alert(
        "CacheHitRateLow", "P1", "Fewer than {threshold:g} % of the cache reads find something",
        (Condition(Share(_READS[0], _READS), "<", 70),), "%", 10 * MINUTE, 15 * MINUTE,
        _once_a_minute(m.CACHE_HITS_TOTAL, m.CACHE_MISSES_TOTAL),
    ),
    Alert(
        "DatabaseConnectionErrors", "P1", "Connections to the database fail",
        _above(_grows(m.DB_CONNECTION_ERRORS_TOTAL, per=MINUTE), 5), "{error}/min",
        5 * MINUTE, 15 * MINUTE,
    ),
    Alert(
        "ServerErrorBurst", "P1", "More than {threshold:g} requests a minute end with status 500",
        _above(
            Growth((_of(m.HTTP_REQUESTS_TOTAL, Where("status_code", "500")),), per=MINUTE), 10
        ),
        "{request}/min", 1 * MINUTE, 15 * MINUTE,
    ),
    Alert(
        "DatabasePoolUtilizationHigh", "P1", "A connection pool is used by more than {threshold:g} %",
        _above(_POOL_UTILIZATION, 80), "%", 5 * MINUTE, 15 * MINUTE,
        mutes=("DatabasePoolUtilizationWarning", "DatabaseConnectionsHigh"),
    ),
    Alert(
        "RedisMemoryCritical", "P1", "The cache server uses more than {threshold:g} % of its memory",
        _above(_MEMORY, 90), "%", 1 * MINUTE, 15 * MINUTE, mutes=("RedisMemoryWarning",),
    ),
    Alert(
        "TelemetryPipelineFailing", "P1",
        "The gateway loses, refuses or cannot send points, or nothing is heard any more",
        (
            *_above(_grows(p.SEND_FAILED), 0),
            *_above(_grows(p.ENQUEUE_FAILED), 0),
            *_above(_grows(p.RECEIVER_REFUSED), 0),
            *_above(_grows(p.PROCESSOR_REFUSED), 0),
            *_above(Growth((p.OUT_OF_TIME,), 5 * MINUTE), 0),
            *_above(
                Quotient(
                    Last(_of(p.QUEUE_SIZE), by=(INSTANCE, "exporter")),
                    Last(_of(p.QUEUE_CAPACITY), by=(INSTANCE, "exporter")),
                    100,
                ),
                80,
            ),
            Condition(Present(_of(p.QUEUE_CAPACITY)), "==", 0),
            Condition(Present(_of(m.SYSTEM_UPTIME_SECONDS)), "==", 0),
        ),
        "{point} or %", 5 * MINUTE, 15 * MINUTE,
    ),
    # P2
    Alert(
        "DatabasePoolUtilizationWarning", "P2", "A connection pool is used by more than {threshold:g} %",
        _above(_POOL_UTILIZATION, 70), "%", 10 * MINUTE, HOUR,
    ),
    Alert(
        "RedisMemoryWarning", "P2", "The cache server uses more than {threshold:g} % of its memory",
        _above(_MEMORY, 85), "%", 10 * MINUTE, HOUR,
    ),
    Alert(
        "LatencyTrendDegradation", "P2",
        "Requests take {threshold:g} times as long as in the last 24 hours",
        _above(
            Quotient(
                Mean(_of(m.HTTP_REQUEST_DURATION_MS), 30 * MINUTE),
                Mean(_of(m.HTTP_REQUEST_DURATION_MS), DAY),
            ),
            1.5,
        ),
        "1", 30 * MINUTE, HOUR,
    ),
    Alert(
        "ForecastJobFailureRateElevated", "P2", "More than {threshold:g} % of the forecasts fail",
        _above(
            Share(
                _of(m.FORECAST_JOBS_PROCESSED_TOTAL, Where("status", "failure")),
                (_of(m.FORECAST_JOBS_PROCESSED_TOTAL),),
            ),
            5,
        ),
        "%", 15 * MINUTE, HOUR, _once_a_minute(m.FORECAST_JOBS_PROCESSED_TOTAL),
    ),
    Alert(
        "RequestRateUnusual", "P2", "More than {threshold:g} requests a second",
        _above(_grows(m.HTTP_REQUESTS_TOTAL, per=1), 1000), "{request}/s", 1 * MINUTE, HOUR,
    ),
    Alert(
        "ErrorRateElevated", "P2", "More than {threshold:g} % of the requests fail",
        _above(_ERROR_SHARE, 0.5), "%", 5 * MINUTE, HOUR, _once_a_minute(m.HTTP_REQUESTS_TOTAL),
    ),
    Alert(
        "DatabaseConnectionsHigh", "P2", "More than {threshold:g} % of all pooled connections are in use",
        _above(
            Quotient(
                Last(_of(m.DB_ACTIVE_CONNECTIONS), by=("pool",)),
                Last(_of(m.DB_POOL_MAX_CONNECTIONS), by=("pool",)),
                100,
            ),
            70,
        ),
        "%", 1 * MINUTE, HOUR,
    ),
    Alert(
        "DatabaseConnectionWaitHigh", "P2", "One checkout in twenty waits longer than {threshold:g} ms",
        _above(_p95(m.DB_CONNECTION_WAIT_TIME_MS), 50), "ms", 5 * MINUTE, HOUR,
    ),
    Alert(
        "DatabaseQueryLatencyHigh", "P2", "One query in twenty takes longer than {threshold:g} ms",
        _above(_p95(m.DB_QUERY_DURATION_MS), 500), "ms", 5 * MINUTE, HOUR,
    ),
    Alert(
        "CacheEvictionsHigh", "P2", "The cache server evicts more than {threshold:g} keys a minute",
        _above(Last(_of(m.CACHE_EVICTION_RATE_PER_SEC), scale=MINUTE), 500),
        "{key}/min", 1 * MINUTE, HOUR,
    ),
    Alert(
        "CacheLatencyHigh", "P2", "One cache operation in twenty takes longer than {threshold:g} ms",
        _above(_p95(m.CACHE_OPERATION_DURATION_MS), 20), "ms", 5 * MINUTE, HOUR,
    ),
    Alert(
        "ForecastWorkersSaturated", "P2", "More than {threshold:g} % of the forecast workers are busy",
        _above(Last(_of(m.FORECAST_WORKER_UTILIZATION_PERCENT), by=("queue",)), 95), "%",
        10 * MINUTE, HOUR,
    ),
    Alert(
        "ForecastJobsSlow", "P2", "One forecast in twenty takes longer than {threshold:g} s",
        _above(_p95(m.FORECAST_JOB_DURATION_SECONDS), 30), "s", 5 * MINUTE, HOUR,
    ),
    Alert(
        "ActiveUsersNearCapacity", "P2", "More than {threshold:g} users are active",
        _above(Last(_of(m.ACTIVE_USERS_CONCURRENT)), 5000), "{user}", 1 * MINUTE, HOUR,
    ),
    # P3
    Alert(
        "NoActiveUsers", "P3", "Nobody has used the application for an hour",
        (Condition(Last(_of(m.ACTIVE_USERS_CONCURRENT)), "==", 0),), "{user}", HOUR,
    ),
    Alert(
        "TierLimitHitsHigh", "P3", "More than {threshold:g} requests an hour are refused by a tier's limit",
        _above(_grows(m.TIER_LIMIT_HITS_TOTAL, window=HOUR), 50), "{hit}/h", 0,
    ),
    Alert(
        "ForecastVolumeUnusual", "P3", "More than {threshold:g} forecasts an hour",
        _above(_grows(m.FORECASTS_GENERATED_TOTAL, window=HOUR), 1000), "{forecast}/h", 0,
    ),
    Alert(
        "TierLimitsWidelyHit", "P3", "More than {threshold:g} % of a tier's users are at one of its limits",
        _above(Last(_of(m.USERS_AT_TIER_LIMIT_PERCENT), by=("tier",)), 50), "%", 1 * MINUTE,
    ),
    # Alerting itself: tried on demand, and its heartbeat
    Alert(
        "TestAlert", "test", "A test of the way to you: nothing is wrong",
        _above(Last(_of(p.TEST_ALERT), by=(p.TEST,)), 0), "1", 0,
    ),
    Alert(
        WATCHDOG, "none", "Always firing: its silence means that alerting is dead",
        (Condition(Always(), "==", 1),), "1", 0,
    ),
)  # fmt: skip

BY_NAME: dict[str, Alert] = {alert.name: alert for alert in ALERTS}
