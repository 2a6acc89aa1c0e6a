"""The monitoring endpoints answer in front of the application: before its hooks, its log-in wall, its error
handlers and its catch-all routes, and they are not counted as traffic. A route that the application
itself declares under exactly one of these paths goes first.

All of it comes from shared memory: whichever worker answers tells of all processes of the service on its
host, and no request asks a database, a cache or a queue. Those are checked in the background, every 5 s
(or at `OTEL_METRIC_EXPORT_INTERVAL`, if that is shorter), with connections of our own and a time limit of
2 s.

## Health

| status of a component | means |
|---|---|
| `healthy` | everything of it that the service uses answered the last check |
| `unhealthy` | something of it did not answer the last check, or has not been heard of for 15 s |
| `unknown` | it is used, and not checked yet (or never: uWSGI without `--enable-threads`) |
| `not_configured` | the service has not used any |

`status` is `unhealthy`, with HTTP 503, while a database or a queue is: what the service is for cannot be
done. It is `degraded`, with HTTP 200, while only a cache is unhealthy: the service answers, more slowly.
Else it is `healthy`. The metric of health is 1 while everything is healthy and 0 otherwise, so that an
alert on it speaks of a lost cache too.

While what is told of a component is older than 15 s (it hangs, or is gone), the answers of `health`,
`health/detailed` and `summary` have one key more, `stale`, which lists those components.

A Prometheus that scrapes `health` gets the same HTTP status and a page without samples, so that `up` of
that scrape is 1 while the service is healthy or degraded: that is how it probes the health address.

A liveness probe should not ask for `health`: restarting an application does not mend its database.

## Who may see what

`health` is open. The rest is open too, until `OTEL_ACCUBOOKS_MONITORING_TOKEN` is set; from then on it
wants `Authorization: Bearer <token>` and answers 401 without. Set it wherever people outside can reach
the application: routes, numbers of users and of sales are nobody's business. A Prometheus shows the token
with `authorization: {credentials_file: /etc/prometheus/accubooks-token}` in its scrape configuration.

Tokens are compared in constant time. All workers of a host together give 20 answers a second, and up to
100 at once after a pause; beyond that it is 429, with `Retry-After`. Wrong tokens are counted apart, in the
same way, so that who floods or guesses keeps nobody out who has the right one. `health` is never refused:
under a flood its answer may be a second old.

`OTEL_ACCUBOOKS_MONITORING_PREFIX` moves all paths below `/api/monitoring`, and `none` switches every
endpoint off.

## What cannot be known is null

A value is `null` where nothing of the kind was seen: no pool, no cache, no rule for users. `idle_count`
and the like are `null` for pools that do not tell. CPU, memory and the start of the 5 minutes that a
percentage is of come from the exporter of the service, so that every worker says the same.

Without a folder that the processes can share, a worker knows only itself, and tells of itself alone.

## The alert drill

`POST /api/test/trigger-errors` shows that an error is measured, sent, judged and delivered. It is off
until `OTEL_ACCUBOOKS_TEST_ERRORS=true`; it then wants the token, and stays off without one. Off, it is
a path that nobody knows: the application answers as to any other such path, as a rule with 404.

```sh
export OTEL_ACCUBOOKS_TEST_ERRORS=true OTEL_ACCUBOOKS_MONITORING_TOKEN=correct-horse
opentelemetry-instrument gunicorn --workers 3 app:app
```

and then, from anywhere:

```sh
curl -X POST -H "Authorization: Bearer correct-horse" -d '{"count": 100, "duration": "5m"}' \\
  http://localhost:8000/api/test/trigger-errors
```

The count may be 1 to 10000, the duration 1 s to 1 h (`300s`, `5m`, `1h`), and together at most 100 a
second. The answer, 202, comes at once: what will be done, whether that lifts the share of errors of 5
minutes over 1 % at the traffic of now on this host, which count would, and which would hold it there for
5 minutes, as long as HighErrorRate waits. Another drill on the host meanwhile is refused with 409 and
what runs.

Each error is a request that fails in front of the application: it is counted and timed by what counts and
times every request, as `method="POST"`, `route="/api/test/trigger-errors"`, `status_code="500"`. The
application's own code and its error handlers see none of it, so nobody's mailbox or error tracker fills.
A drill ends by itself, and with the process that it runs in. Where no thread may run (uWSGI without
`--enable-threads`) the answer is 503.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from otel_accubooks.contract.metrics import HTTP_REQUESTS_TOTAL

DEFAULT_PREFIX = "/api/monitoring"
# The words of a status: of a service the first three, of a component all but the second.
HEALTHY = "healthy"
DEGRADED = "degraded"
UNHEALTHY = "unhealthy"
UNKNOWN = "unknown"
NOT_CONFIGURED = "not_configured"
UNHEALTHY_HTTP_STATUS = 503

Method = Literal["GET", "POST"]


class Key(NamedTuple):
    """A key of a JSON answer, dotted where it is nested, and what its value is."""

    name: str
    meaning: str


class Endpoint(NamedTuple):
    """An address that is answered.

    `path` is below the prefix, except where it begins with a slash; `budget_ms` is within what time,
    with 2,000 series over 4 workers. `open` are those that never want a token.
    """

    name: str
    method: Method
    path: str
    description: str
    budget_ms: int | None = None
    alias: str | None = None
    keys: tuple[Key, ...] = ()
    open: bool = False

    def paths(self, prefix: str = DEFAULT_PREFIX) -> tuple[str, ...]:
        """Every path that it answers, the first one being its own."""
        own = self.path if self.path.startswith("/") else f"{prefix.rstrip('/')}/{self.path}"
        return (own,) if self.alias is None else (own, self.alias)


_TIMESTAMP = Key("timestamp", "when it was answered: UTC, ISO 8601, with Z")
_STATUS = Key("status", "of the service: healthy, degraded or unhealthy")
_UPTIME = Key("uptime", "whole seconds since the service was started")
_STATISTICS = (
    ("total_count", "connections open, of all pools and processes"),
    ("idle_count", "those that are not checked out"),
    ("waiting_count", "checkouts that wait for a connection"),
)

METRICS_PAGE = Endpoint(
    "metrics", "GET", "metrics",
    "All metrics of the service as Prometheus text, or as OpenMetrics where that is asked for "
    "(`Accept: application/openmetrics-text`), compressed where the client takes gzip",
    budget_ms=100, alias="/api/metrics",
)  # fmt: skip
HEALTH = Endpoint(
    "health", "GET", "health", "Whether the service can do its work",
    budget_ms=100,
    keys=(
        _STATUS, _TIMESTAMP, _UPTIME,
        Key("database", "status of the databases"),
        Key("cache", "status of the caches"),
        Key("queue", "status of the queues"),
    ),
    open=True,
)  # fmt: skip
HEALTH_DETAILED = Endpoint(
    "health/detailed", "GET", "health/detailed", "The same, by component",
    budget_ms=500,
    keys=(
        _STATUS, _TIMESTAMP, _UPTIME,
        Key("components.database.status", "status of the databases"),
        Key("components.database.pool.max", "most connections that the pools allow"),
        Key("components.database.pool.min", "connections that the pools keep open"),
        *(Key(f"components.database.pool.{name}", text) for name, text in _STATISTICS),
        Key("components.cache.status", "status of the caches"),
        Key("components.queue.status", "status of the queues"),
        Key("components.application.status", "healthy, since it answers"),
        Key("components.application.uptime", "whole seconds since the service was started"),
        Key("components.application.memory", "resident bytes of the service's processes"),
        Key("components.application.cpu", "percent that they use, 100 for each core"),
    ),
)  # fmt: skip
POOL_CONFIG = Endpoint(
    "pool-config", "GET", "pool-config", "The connection pools of all processes, added up",
    budget_ms=100,
    keys=(
        Key("configuration.max", "most connections that the pools allow"),
        Key("configuration.min", "connections that the pools keep open"),
        Key("configuration.idleTimeoutMillis", "longest idle time; null without such a setting"),
        Key("configuration.connectionTimeoutMillis", "longest wait for a connection"),
        *(Key(f"current_stats.{name}", text) for name, text in _STATISTICS),
        _TIMESTAMP,
    ),
)  # fmt: skip
SUMMARY = Endpoint(
    "summary", "GET", "summary", "The figures that people ask for first",
    budget_ms=200,
    keys=(
        _TIMESTAMP,
        Key("database.active_connections", "connections checked out of the pools"),
        Key("database.pool_utilization", "percent, of the pool and process where it is highest"),
        Key("database.pool_max", "most connections that the pools allow"),
        Key("database.pool_min", "connections that the pools keep open"),
        Key("api.total_requests", f"requests answered, {HTTP_REQUESTS_TOTAL.name} over all its series"),
        Key("api.error_rate", "percent of them answered with 5xx, last 5 minutes"),
        Key("cache.memory_usage_percent", "percent of the cache server's memory"),
        Key("cache.hit_rate", "percent of the keys asked for that were found, last 5 minutes"),
        Key("queue.depth", "jobs waiting, in all queues"),
        Key("queue.worker_utilization", "percent, of the queue where it is highest"),
        Key("business.active_users", "distinct users of the last 5 minutes"),
        Key("business.forecasts_generated", "forecasts computed, of all tiers"),
        Key("system.uptime", "whole seconds since the service was started"),
        Key("system.health_status", "1 while everything is healthy, else 0"),
    ),
)  # fmt: skip
TRIGGER_ERRORS = Endpoint(
    "trigger-errors", "POST", "/api/test/trigger-errors",
    'An alert drill: `{"count": 100, "duration": "5m"}` makes that many requests fail with 500, spread '
    "evenly over the duration. Off by default, see above",
)  # fmt: skip

ENDPOINTS = (METRICS_PAGE, HEALTH, HEALTH_DETAILED, POOL_CONFIG, SUMMARY, TRIGGER_ERRORS)


def all_paths(prefix: str = DEFAULT_PREFIX) -> tuple[str, ...]:
    """Every path that is answered, with and without a slash behind it."""
    own = [path for endpoint in ENDPOINTS for path in endpoint.paths(prefix)]
    return (*own, *(f"{path}/" for path in own))
