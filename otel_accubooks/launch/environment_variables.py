"""Our settings, as environment variables; the launcher offers each as a flag too.

OpenTelemetry's own come first: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_METRICS_EXPORTER,
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRIC_EXPORT_INTERVAL (15000 here), OTEL_SDK_DISABLED,
OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS. With
OTEL_METRICS_EXPORTER=prometheus: OTEL_EXPORTER_PROMETHEUS_HOST (localhost) and _PORT (9464).
Spans and log records are sent when OTEL_TRACES_EXPORTER and OTEL_LOGS_EXPORTER say so (both none here);
of them OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_BLRP_* and OTEL_METRICS_EXEMPLAR_FILTER.

What is wrong in a setting is one line in the log at the start, with what was found and what was
expected, and the default stands for it; `otel-accubooks check` says it before that.
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

How many series a metric may have in a process, and in all processes of a service on a host together.
What goes beyond is counted in one series with otel.metric.overflow=true; gauges are left out.
Default: 2000.
"""

OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES = "OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES"
"""
.. envvar:: OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES

What the memory in use by the cache is a share of, where the Redis server has no maxmemory.
Default: 2147483648.
"""

OTEL_ACCUBOOKS_MONITORING_PREFIX = "OTEL_ACCUBOOKS_MONITORING_PREFIX"
"""
.. envvar:: OTEL_ACCUBOOKS_MONITORING_PREFIX

The path below which the monitoring endpoints answer; `none` switches all of them off, those with
a path of their own too. Default: /api/monitoring.
"""

OTEL_ACCUBOOKS_MONITORING_TOKEN = "OTEL_ACCUBOOKS_MONITORING_TOKEN"
"""
.. envvar:: OTEL_ACCUBOOKS_MONITORING_TOKEN

The bearer token that all monitoring endpoints but `health` want; several, separated by commas, while
one replaces another. Default: none, they are open.
"""

OTEL_ACCUBOOKS_TEST_ERRORS = "OTEL_ACCUBOOKS_TEST_ERRORS"
"""
.. envvar:: OTEL_ACCUBOOKS_TEST_ERRORS

`true` switches on POST /api/test/trigger-errors, an alert drill; it wants a token. Default: false.
"""

OTEL_ACCUBOOKS_CACHE_REDIS = "OTEL_ACCUBOOKS_CACHE_REDIS"
"""
.. envvar:: OTEL_ACCUBOOKS_CACHE_REDIS

The Redis that is the cache, as redis://host:port/database or unix://path?db=database; user and
password are not needed. A cluster is named by one of its nodes, a Sentinel's service by its name as
host. Default: every Redis that the application uses, without the keys of queues and of sessions.
"""

OTEL_ACCUBOOKS_REDIS_URL = "OTEL_ACCUBOOKS_REDIS_URL"
"""
.. envvar:: OTEL_ACCUBOOKS_REDIS_URL

The Redis (5 or newer) in which the hosts of a service count users and sessions together, such as
redis://10.0.0.1:6379/0. Only hashes and times are written to it, under keys that begin with
otel-accubooks. Default: none, users and sessions are counted for each host alone.
"""

OTEL_ACCUBOOKS_SECRET = "OTEL_ACCUBOOKS_SECRET"
"""
.. envvar:: OTEL_ACCUBOOKS_SECRET

A long random text, the same on all hosts of a service: the key of the hashes that stand for users.
Default: the text of OTEL_ACCUBOOKS_REDIS_URL; without that, a random one on each host.
"""
