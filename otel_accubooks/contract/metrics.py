"""Every metric: exact name in the backend, type, unit, labels, buckets, and how it adds up."""

from __future__ import annotations

from otel_accubooks.contract.metric import Across, Group, Label, Metric, Part, Ratio

FIVE_MINUTES = 300.0
UNKNOWN = "unknown"
OTHER = "other"

TIERS = ("FREE", "STARTER", "PRO", UNKNOWN)
TRUST_COMPONENTS = ("calculation_explainer", "assumptions_panel", "confidence_indicator")
JOB_STATUSES = ("success", "failure")
SQL_VERBS = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "CALL", "BEGIN", "COMMIT", "ROLLBACK",
    "SAVEPOINT", "RELEASE", "SET", "SHOW", "CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE",
    "LOCK", "DECLARE", "FETCH", "MOVE", "CLOSE", "PREPARE", "EXECUTE", "EXPLAIN", "ANALYZE",
    "VACUUM", "REFRESH", "LISTEN", "NOTIFY", "UNLISTEN", "DO", "VALUES", "TABLE", "OTHER",
)  # fmt: skip
CONNECTION_ERRORS = (
    "refused", "timeout", "authentication", "dns", "too_many_connections", "pool_exhausted",
    "connection_lost", OTHER,
)  # fmt: skip

_METHOD = Label("method")
_ROUTE = Label("route")
_STATUS_CODE = Label("status_code")
_POOL = Label("pool")
_QUEUE = Label("queue")
_TIER = Label("tier", TIERS)


def _counter(name: str, group: Group, unit: str, description: str, *labels: Label) -> Metric:
    return Metric(name, group, "counter", unit, description, labels)


def _histogram(
    name: str, group: Group, unit: str, description: str, *labels: Label, buckets: tuple[float, ...]
) -> Metric:
    return Metric(name, group, "histogram", unit, description, labels, buckets=buckets)


def _gauge(
    name: str, group: Group, unit: str, description: str, *labels: Label, across: Across
) -> Metric:
    return Metric(name, group, "gauge", unit, description, labels, across, across)


def _percentage(name: str, group: Group, description: str, *labels: Label, ratio: Ratio) -> Metric:
    return Metric(name, group, "gauge", "%", description, labels, ratio=ratio)


def _host_gauge(name: str, unit: str, description: str) -> Metric:
    return Metric(name, "system", "gauge", unit, description, across="max", hosts="by host")


def _host_counter(name: str, description: str, *directions: str) -> Metric:
    direction = Label("direction", directions)
    return Metric(name, "system", "counter", "By", description, (direction,), "max", "sum")


# api
HTTP_REQUEST_DURATION_MS = _histogram(
    "http_request_duration_ms", "api", "ms",
    "Time until the response body has been sent or closed",
    _METHOD, _ROUTE, _STATUS_CODE,
    buckets=(10, 50, 100, 200, 500, 1000, 2000, 5000),
)  # fmt: skip
HTTP_REQUESTS_TOTAL = _counter(
    "http_requests_total", "api", "{request}", "Requests answered",
    _METHOD, _ROUTE, _STATUS_CODE,
)  # fmt: skip
HTTP_ERROR_RATE_PERCENT = _percentage(
    "http_error_rate_percent", "api", "Share of requests answered with 5xx, last 5 minutes",
    ratio=Ratio(
        Part(HTTP_REQUESTS_TOTAL.name, "status_code", "5"),
        (Part(HTTP_REQUESTS_TOTAL.name),),
        FIVE_MINUTES,
        idle=0.0,
    ),
)  # fmt: skip
SYSTEM_UPTIME_SECONDS = Metric(
    "system_uptime_seconds", "api", "gauge", "s", "Time since the service was started",
    across="max", hosts="min",
)  # fmt: skip
SYSTEM_HEALTH_STATUS = _gauge(
    "system_health_status", "api", "1",
    "1 while every database, cache and queue that the service uses answers, else 0", across="min",
)  # fmt: skip

# database
DB_ACTIVE_CONNECTIONS = _gauge(
    "db_active_connections", "database", "{connection}", "Connections checked out of the pool now",
    _POOL, across="sum",
)  # fmt: skip
DB_POOL_UTILIZATION_PERCENT = _gauge(
    "db_pool_utilization_percent", "database", "%",
    "Checked-out share of the pool, of the process where it is highest", _POOL, across="max",
)  # fmt: skip
DB_POOL_MAX_CONNECTIONS = _gauge(
    "db_pool_max_connections", "database", "{connection}", "Most connections that the pools allow",
    _POOL, across="sum",
)  # fmt: skip
DB_POOL_MIN_CONNECTIONS = _gauge(
    "db_pool_min_connections", "database", "{connection}", "Connections that the pools keep open",
    _POOL, across="sum",
)  # fmt: skip
DB_CONNECTION_WAIT_TIME_MS = _histogram(
    "db_connection_wait_time_ms", "database", "ms",
    "Time in the pool's checkout call, a new connection included", _POOL,
    buckets=(1, 5, 10, 25, 50, 100, 250, 500),
)  # fmt: skip
DB_QUERY_DURATION_MS = _histogram(
    "db_query_duration_ms", "database", "ms", "Time of one call that sends SQL",
    Label("query_type", SQL_VERBS), buckets=(10, 50, 100, 200, 500, 1000, 2000),
)  # fmt: skip
DB_CONNECTION_ERRORS_TOTAL = _counter(
    "db_connection_errors_total", "database", "{error}",
    "Connections that could not be had, or were lost", Label("error_type", CONNECTION_ERRORS),
)  # fmt: skip

# cache
CACHE_MEMORY_USAGE_BYTES = _gauge(
    "cache_memory_usage_bytes", "cache", "By", "Memory that the cache server uses", across="max"
)
CACHE_MEMORY_USAGE_PERCENT = _gauge(
    "cache_memory_usage_percent", "cache", "%",
    "Share of maxmemory, or of the configured budget where the server has none", across="max",
)  # fmt: skip
CACHE_HITS_TOTAL = _counter(
    "cache_hits_total", "cache", "{hit}", "Keys that this application asked for and found"
)
CACHE_MISSES_TOTAL = _counter(
    "cache_misses_total", "cache", "{miss}", "Keys that this application asked for in vain"
)
CACHE_HIT_RATE_PERCENT = _percentage(
    "cache_hit_rate_percent", "cache", "Share of keys asked for that were found, last 5 minutes",
    ratio=Ratio(
        Part(CACHE_HITS_TOTAL.name),
        (Part(CACHE_HITS_TOTAL.name), Part(CACHE_MISSES_TOTAL.name)),
        FIVE_MINUTES,
        idle=100.0,
    ),
)  # fmt: skip
CACHE_EVICTION_RATE_PER_SEC = _gauge(
    "cache_eviction_rate_per_sec", "cache", "{key}/s", "Keys that the server evicts", across="max"
)
CACHE_OPERATION_DURATION_MS = _histogram(
    "cache_operation_duration_ms", "cache", "ms", "Time of one call to the cache",
    Label("operation"), buckets=(1, 5, 10, 25, 50, 100),
)  # fmt: skip

# queue
FORECAST_QUEUE_DEPTH = _gauge(
    "forecast_queue_depth", "queue", "{job}", "Jobs waiting", _QUEUE, across="max"
)
FORECAST_WORKER_UTILIZATION_PERCENT = _gauge(
    "forecast_worker_utilization_percent", "queue", "%",
    "Busy share of the live workers; without one, 100 while jobs wait, else 0", _QUEUE,
    across="max",
)  # fmt: skip
FORECAST_JOB_DURATION_SECONDS = _histogram(
    "forecast_job_duration_seconds", "queue", "s", "Time that a job ran", _QUEUE,
    buckets=(1, 2, 5, 8, 10, 15, 20, 30, 60),
)  # fmt: skip
FORECAST_JOBS_PROCESSED_TOTAL = _counter(
    "forecast_jobs_processed_total", "queue", "{job}", "Attempts at a job that ended",
    _QUEUE, Label("status", JOB_STATUSES),
)  # fmt: skip
FORECAST_JOB_FAILURE_RATE_PERCENT = _percentage(
    "forecast_job_failure_rate_percent", "queue", "Share of jobs that failed, last 5 minutes",
    _QUEUE,
    ratio=Ratio(
        Part(FORECAST_JOBS_PROCESSED_TOTAL.name, "status", "failure"),
        (Part(FORECAST_JOBS_PROCESSED_TOTAL.name),),
        FIVE_MINUTES,
        idle=0.0,
    ),
)  # fmt: skip
FORECAST_OLDEST_JOB_AGE_SECONDS = _gauge(
    "forecast_oldest_job_age_seconds", "queue", "s",
    "Age of the job that has waited longest; 0 in an empty queue", _QUEUE, across="max",
)  # fmt: skip
FORECAST_JOB_WAIT_TIME_SECONDS = _histogram(
    "forecast_job_wait_time_seconds", "queue", "s", "Time from enqueueing to start", _QUEUE,
    buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
)  # fmt: skip

# business
ACTIVE_USERS_CONCURRENT = _gauge(
    "active_users_concurrent", "business", "{user}",
    "Distinct users with a request in the last 5 minutes", across="max",
)  # fmt: skip
FORECASTS_GENERATED_TOTAL = _counter(
    "forecasts_generated_total", "business", "{forecast}", "Forecasts that were computed", _TIER
)
TIER_LIMIT_HITS_TOTAL = _counter(
    "tier_limit_hits_total", "business", "{hit}", "Requests refused by a limit of the tier",
    _TIER, Label("limit_type"),
)  # fmt: skip
TRUST_LAYER_USAGE_TOTAL = _counter(
    "trust_layer_usage_total", "business", "{interaction}", "Uses of a trust component",
    Label("component", TRUST_COMPONENTS),
)  # fmt: skip
USER_SESSIONS_ACTIVE = _gauge(
    "user_sessions_active", "business", "{session}",
    "Sessions with a request in the last 30 minutes and no logout since", across="max",
)  # fmt: skip
SCENARIOS_CREATED_TOTAL = _counter(
    "scenarios_created_total", "business", "{scenario}", "Scenarios created", _TIER
)
USER_LOGINS_TOTAL = _counter("user_logins_total", "business", "{login}", "Logins", _TIER)
USER_SESSION_DURATION_SECONDS = _histogram(
    "user_session_duration_seconds", "business", "s",
    "From a session's first request to its last; it ends by logout or by 30 silent minutes",
    buckets=(30, 60, 300, 900, 1800, 3600, 7200, 14400),
)  # fmt: skip
USERS_BY_TIER = _gauge(
    "users_by_tier", "business", "{user}", "Users that exist", _TIER, across="max"
)
USERS_AT_TIER_LIMIT_PERCENT = _gauge(
    "users_at_tier_limit_percent", "business", "%", "Share of users at a limit of their tier",
    _TIER, across="max",
)  # fmt: skip
UPGRADE_CONVERSIONS_TOTAL = _counter(
    "upgrade_conversions_total", "business", "{conversion}", "Changes to a higher tier",
    Label("from_tier", TIERS), Label("to_tier", TIERS),
)  # fmt: skip
TRUST_LAYER_USAGE_PERCENT = _gauge(
    "trust_layer_usage_percent", "business", "%",
    "Share of the active users who used a trust component, last 5 minutes; no data without users",
    across="max",
)  # fmt: skip
CALCULATION_ERRORS_TOTAL = _counter(
    "calculation_errors_total", "business", "{error}", "Calculations that went wrong",
    Label("kind"),
)  # fmt: skip
TENANT_ISOLATION_VIOLATIONS_TOTAL = _counter(
    "tenant_isolation_violations_total", "business", "{violation}",
    "Attempts to reach data of another tenant", Label("kind"),
)  # fmt: skip
BETA_TRUST_RATE_PERCENT = _gauge(
    "beta_trust_rate_percent", "business", "%", "Share of beta users who say that they trust it",
    across="max",
)  # fmt: skip
SUPPORT_TICKETS_TOTAL = _counter(
    "support_tickets_total", "business", "{ticket}", "Support tickets opened", Label("priority")
)
NPS_SCORE = _gauge("nps_score", "business", "1", "Net promoter score, -100 to 100", across="max")

# system
SYSTEM_CPU_USAGE_PERCENT = _host_gauge("system_cpu_usage_percent", "%", "Busy share of all cores")
SYSTEM_MEMORY_USAGE_BYTES = _host_gauge("system_memory_usage_bytes", "By", "Memory in use")
SYSTEM_MEMORY_USAGE_PERCENT = _host_gauge("system_memory_usage_percent", "%", "Memory in use")
SYSTEM_NETWORK_IO_BYTES_TOTAL = _host_counter(
    "system_network_io_bytes_total", "Bytes over all network interfaces", "receive", "transmit"
)
SYSTEM_DISK_IO_BYTES_TOTAL = _host_counter(
    "system_disk_io_bytes_total", "Bytes over all disks", "read", "write"
)
PROCESS_CPU_USAGE_PERCENT = _gauge(
    "process_cpu_usage_percent", "system", "%", "CPU of the service's processes, 100 a core",
    across="sum",
)  # fmt: skip
PROCESS_MEMORY_USAGE_BYTES = _gauge(
    "process_memory_usage_bytes", "system", "By", "Resident memory of the service's processes",
    across="sum",
)  # fmt: skip

METRICS: tuple[Metric, ...] = tuple(m for m in list(globals().values()) if isinstance(m, Metric))
BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
