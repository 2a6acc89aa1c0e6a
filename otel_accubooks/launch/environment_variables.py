"""Our settings, as environment variables; the launcher offers each as a flag too.

OpenTelemetry's own come first: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_METRICS_EXPORTER,
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL (15000 here), OTEL_SDK_DISABLED,
OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS.
"""

OTEL_ACCUBOOKS_RULES = "OTEL_ACCUBOOKS_RULES"
"""
.. envvar:: OTEL_ACCUBOOKS_RULES

The file (TOML) with the rules that feed the business metrics. Default: none.
"""

OTEL_ACCUBOOKS_STATE_DIR = "OTEL_ACCUBOOKS_STATE_DIR"
"""
.. envvar:: OTEL_ACCUBOOKS_STATE_DIR

The folder below which the processes of a service share their counts. It should be in memory.
Default: /dev/shm/otel-accubooks-<user id>, or the same in the temp folder.
"""

OTEL_ACCUBOOKS_SERIES_LIMIT = "OTEL_ACCUBOOKS_SERIES_LIMIT"
"""
.. envvar:: OTEL_ACCUBOOKS_SERIES_LIMIT

How many series a metric may have in a process. What goes beyond is counted in one series with
otel.metric.overflow=true. Default: 2000.
"""

OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES = "OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES"
"""
.. envvar:: OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES

What cache_memory_usage_percent is a share of, where the Redis server has no maxmemory.
Default: 2147483648.
"""
