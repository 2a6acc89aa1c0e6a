"""The runbook of every alert. Thresholds are not in here: they stand with the alert."""

from __future__ import annotations

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.runbook import Runbook

_ENGINEERING = "The on-call engineer of the application, then its team lead."
_DATABASE = "The on-call database engineer."
_PLATFORM = "The on-call platform engineer."
_PRODUCT = "The product owner, in office hours."

_DETAILED = (
    "`GET /api/monitoring/health/detailed` of the application: which component is unhealthy?"
)
_POOL = "Database Performance dashboard: which pool, since when, and do checkouts wait?"
_LAST_RELEASE = (
    "What was released or configured last? If the times fit, roll it back first, ask later."
)

RUNBOOKS: dict[str, Runbook] = {
    "HighErrorRate": Runbook(
        "Requests fail with a server error: users see error pages, and may lose what they typed.",
        (
            "Operations dashboard, Answers by Status Code: which codes, since when?",
            "`topk(5, sum by (route, status_code) "
            f'(rate({m.HTTP_REQUESTS_TOTAL.name}{{status_code=~"5.."}}[5m])))`:'
            " one route, or all of them?",
            _DETAILED,
            "The application's log of these minutes: the exception that is there most often.",
        ),
        (
            _LAST_RELEASE,
            "One route only: switch the feature off, or refuse the route at the load balancer.",
            "All routes: a dependency is down; go on with DatabasePoolExhaustion or SystemUnhealthy.",
        ),
        _ENGINEERING,
    ),
    "DatabasePoolExhaustion": Runbook(
        "Requests wait for a database connection, and soon fail for want of one.",
        (
            _POOL,
            "`GET /api/monitoring/pool-config`: how many connections are open, idle, waited for?",
            "In PostgreSQL: `SELECT state, wait_event_type, count(*) FROM pg_stat_activity GROUP BY 1, 2`."
            " Many `idle in transaction` are connections that were not given back.",
            "`SELECT pid, now() - query_start AS since, query FROM pg_stat_activity"
            " WHERE state = 'active' ORDER BY since DESC LIMIT 10`: does one query hold them all?",
        ),
        (
            "End the query that blocks: `SELECT pg_cancel_backend(pid)`, then `pg_terminate_backend(pid)`.",
            "Connections leak: restart the workers one after the other, and look for the missing return.",
            "Honest load: raise the pool's maximum, up to what `max_connections` of the server allows.",
        ),
        _DATABASE,
    ),
    "SystemUnreachable": Runbook(
        "Nobody can use the application.",
        (
            "From outside: `curl -i https://<application>/api/monitoring/health`. No answer, or 503?",
            "Do its processes run? Container, service manager, memory killer (`dmesg | tail`)?",
            "Do load balancer, DNS and certificate work? Is another application behind them reachable?",
        ),
        (
            _LAST_RELEASE,
            "Start the service again. What it had counted is in shared memory and is sent.",
            "The host is gone: move the service to another one.",
        ),
        _PLATFORM,
    ),
    "SystemUnhealthy": Runbook(
        "A dependency does not answer. What needs it fails, or is slow; the rest still works.",
        (
            _DETAILED,
            "From a host of the application: `pg_isready -h <host>`, `redis-cli -h <host> ping`.",
            "`stale` in the answer means that the check itself gets no answer: the server hangs.",
        ),
        (
            "Start the dependency again, or fail over to its standby.",
            "Only the cache is away: the application goes on without; keep an eye on the database.",
        ),
        _PLATFORM,
    ),
    "DataIntegrityIssue": Runbook(
        "Numbers that users rely on may be wrong, or somebody reached for another tenant's data.",
        (
            f"Which of the two, and which `kind`: `increase({m.CALCULATION_ERRORS_TOTAL.name}[1h])` and"
            f" `increase({m.TENANT_ISOLATION_VIOLATIONS_TOTAL.name}[1h])`.",
            "The application's log at that moment: whose data, which request, which user.",
            "Is it one account, or every one since a release?",
        ),
        (
            "Violation: close the way now, also at the price of switching the feature off.",
            "Wrong calculation: stop showing and storing such results; note which are affected.",
            "Keep logs and database as they are: they are the evidence.",
        ),
        "At once: the engineering lead and whoever answers for security and data protection.",
    ),
    "HighLatency": Runbook(
        "One request in twenty takes so long that people notice, and some give up.",
        (
            "`topk(5, histogram_quantile(0.95, sum by (route, le)"
            f" (rate({m.HTTP_REQUEST_DURATION_MS.name}_bucket[5m]))))`: one route, or all?",
            "Operations dashboard: do queries, checkouts or the cache take longer at the same time?",
            "System Resources: is a host out of CPU or memory?",
        ),
        (
            _LAST_RELEASE,
            "More load than usual: more workers, or more hosts.",
            "A slow query: see DatabaseQueryLatencyHigh.",
        ),
        _ENGINEERING,
    ),
    "ForecastQueueDepthHigh": Runbook(
        "Forecasts are ordered faster than they are made: people wait for theirs.",
        (
            "Operations dashboard, Queue Performance: is the oldest job getting older?",
            "Worker utilization: at 100 % there are too few workers; at 0 % there are none.",
            "Do jobs fail and come again? See ForecastJobFailureRateElevated.",
        ),
        (
            "Start more workers on this queue.",
            "Workers hang: restart them; the jobs that they had come back or are counted as failed.",
            "One customer fills the queue: see ForecastVolumeUnusual.",
        ),
        _ENGINEERING,
    ),
    "CacheHitRateLow": Runbook(
        "The database does the work of the cache: pages are slower, and load grows with traffic.",
        (
            "Was the cache emptied or restarted? Its memory usage fell at the same time.",
            "Evictions: is the cache too small for what is in use?",
            "Was a key's form or its time to live changed by a release?",
        ),
        (
            "After a restart: wait; watch the database meanwhile.",
            "Too small: more `maxmemory`, or shorter times to live for what is rarely read.",
        ),
        _ENGINEERING,
    ),
    "DatabaseConnectionErrors": Runbook(
        "Connections to the database fail; what needs one fails with them.",
        (
            f"`sum by (error_type) (increase({m.DB_CONNECTION_ERRORS_TOTAL.name}[5m]))`: which kind?",
            "`refused`, `timeout`, `dns`: the server or the way to it. `authentication`: a password"
            " was changed. `too_many_connections`, `pool_exhausted`: see DatabasePoolExhaustion.",
            "`connection_lost`: did the server restart, or a firewall cut idle connections?",
        ),
        (
            "Start the server or fail over; correct the password; open the way.",
            "`connection_lost` again and again: shorter idle times in the pool, or TCP keepalives.",
        ),
        _DATABASE,
    ),
    "ServerErrorBurst": Runbook(
        "Something in the application fails every few seconds, for some users or on some page.",
        (
            f'`topk(5, sum by (route) (increase({m.HTTP_REQUESTS_TOTAL.name}{{status_code="500"}}[5m])))`.',
            "The exception in the application's log.",
        ),
        (_LAST_RELEASE, "Switch the feature off that raises it."),
        _ENGINEERING,
    ),
    "DatabasePoolUtilizationHigh": Runbook(
        "Little is left until requests wait for connections.",
        (_POOL, "Does traffic grow, or does each request hold its connection longer?"),
        (
            "As for DatabasePoolExhaustion, with more time to do it well.",
            "Shorten transactions that wait for something outside the database.",
        ),
        _DATABASE,
    ),
    "RedisMemoryCritical": Runbook(
        "The cache is about to evict what is in use, or to refuse writes.",
        (
            "`redis-cli info memory`, `redis-cli --bigkeys`: what fills it?",
            "`redis-cli config get maxmemory-policy`: `noeviction` refuses writes when it is full.",
        ),
        (
            "Remove what should not be there; set times to live.",
            "Raise `maxmemory` if the host has the memory.",
        ),
        _PLATFORM,
    ),
    "TelemetryPipelineFailing": Runbook(
        "Users notice nothing. But what these alerts are made of does not arrive, or soon will not.",
        (
            "Does the gateway run? Has the application's log a line that says why nothing arrives?",
            "The gateway's log: which exporter fails, with which answer?",
            "`otelcol_exporter_queue_size` against its capacity: how long until it is full?",
            "Is the backend up, is its key valid, does it refuse what is too old or too much?",
        ),
        (
            "Start the gateway: what was counted meanwhile is sent, nothing is lost.",
            "Bring the backend back, or correct its key; the queue is sent by itself.",
            "Left out for their time: set the clock of the host that the doctor names.",
            "Refused for lack of memory: more memory for the gateway (`GATEWAY_MEMORY_MIB`).",
            "A long outage: make room where `GATEWAY_STORAGE` is; do not delete the queue.",
            "A service or a gateway that was taken away for good: silence it, it is missed for a day.",
        ),
        _PLATFORM,
    ),
    "DatabasePoolUtilizationWarning": Runbook(
        "Nothing yet. The pool has less room than it should have at this load.",
        (_POOL, "Is this a peak of the day, or a new level?"),
        ("Plan a larger pool, or more hosts, before it becomes DatabasePoolUtilizationHigh.",),
        _DATABASE,
    ),
    "RedisMemoryWarning": Runbook(
        "Nothing yet. The cache fills.",
        ("`redis-cli info memory`: does it still grow? Since which release?",),
        ("Times to live for what has none; more `maxmemory`.",),
        _PLATFORM,
    ),
    "LatencyTrendDegradation": Runbook(
        "The application is slower than it was yesterday, if not yet slow.",
        (
            "What changed in the last hours: a release, the amount of data, a job that runs beside?",
            "Operations dashboard over 24 h: which of database, cache, queue changed with it?",
        ),
        (_LAST_RELEASE, "A table outgrew its index or its statistics: `ANALYZE`, then the plan."),
        _ENGINEERING,
    ),
    "ForecastJobFailureRateElevated": Runbook(
        "Some people get no forecast, or get it only after it was tried again.",
        (
            "The failed jobs' exceptions: `rq info`, the failed registry, or the worker's log.",
            "Are workers killed (out of memory, time limit)? Then durations end at the limit.",
        ),
        (
            _LAST_RELEASE,
            "Requeue what failed once the cause is gone: `rq requeue --all --queue <queue>`.",
        ),
        _ENGINEERING,
    ),
    "RequestRateUnusual": Runbook(
        "Far more traffic than usual: a success, a loop in a client, or an attack.",
        (
            f"`topk(5, sum by (route) (rate({m.HTTP_REQUESTS_TOTAL.name}[5m])))`: spread, or one route?",
            "The load balancer's log: one address, one user agent, one customer?",
        ),
        ("Rate limits for whoever it is.", "Honest traffic: more hosts."),
        _PLATFORM,
    ),
    "ErrorRateElevated": Runbook(
        "A few users see errors.",
        ("As for HighErrorRate.",),
        ("As for HighErrorRate, without the hurry.",),
        _ENGINEERING,
    ),
    "DatabaseConnectionsHigh": Runbook(
        "Nothing yet. Most of all pooled connections are in use at the same time.",
        (_POOL, "All hosts, or one? The alert adds them up."),
        ("As for DatabasePoolUtilizationWarning.",),
        _DATABASE,
    ),
    "DatabaseConnectionWaitHigh": Runbook(
        "Requests are slower by the time that they wait for a connection.",
        (
            _POOL,
            "Are connections made anew each time (no pool, or a minimum of 0)? Then this is the time"
            " that connecting takes.",
        ),
        (
            "A larger minimum, so that connections are there; a larger maximum, so that nobody waits.",
        ),
        _DATABASE,
    ),
    "DatabaseQueryLatencyHigh": Runbook(
        "Pages that ask the database are slow.",
        (
            "Database Performance dashboard: which verb?",
            "`pg_stat_statements` by mean time, `auto_explain`, locks (`pg_locks` not granted).",
            "The server's CPU, disk and checkpoints.",
        ),
        ("An index; `ANALYZE`; end the statement that locks.", _LAST_RELEASE),
        _DATABASE,
    ),
    "CacheEvictionsHigh": Runbook(
        "What was cached is thrown away before it is used again: slower pages, more load.",
        ("`redis-cli info stats`, `info memory`: is it at its maximum?", "What was added lately?"),
        ("More `maxmemory`; shorter times to live; a cache of its own for what is large.",),
        _PLATFORM,
    ),
    "CacheLatencyHigh": Runbook(
        "Every page that uses the cache is slower than it need be.",
        (
            "`redis-cli --latency`, `redis-cli slowlog get`: slow server, or slow network?",
            "KEYS, large values, or a fork for a snapshot?",
        ),
        ("Stop what blocks it; SCAN instead of KEYS; smaller values.",),
        _PLATFORM,
    ),
    "ForecastWorkersSaturated": Runbook(
        "Forecasts soon have to wait.",
        ("Operations dashboard, Queue Performance: does the depth grow?",),
        ("More workers, before the queue grows.",),
        _ENGINEERING,
    ),
    "ForecastJobsSlow": Runbook(
        "Forecasts take longer than people are used to.",
        ("Larger inputs, a slower database, or less CPU for each worker?", "Since which release?"),
        ("Fewer workers for each core; a limit on the input; " + _LAST_RELEASE,),
        _ENGINEERING,
    ),
    "ActiveUsersNearCapacity": Runbook(
        "Nothing yet. More people than the deployment was sized for are here.",
        ("Pools, workers, CPU: which comes near its limit first?",),
        ("More hosts, before one of the other alerts fires.",),
        _PLATFORM,
    ),
    "NoActiveUsers": Runbook(
        "Nobody is here: night and holidays, or nobody can get in.",
        (
            "Is it the hour for it? Compare with last week.",
            f"Can you log in yourself? `increase({m.USER_LOGINS_TOTAL.name}[1h])`.",
            "Is a rule for users in the rules file (`[user]`)? Without one nobody is ever counted.",
        ),
        ("Repair the log-in, or the rule.",),
        _PRODUCT,
    ),
    "TierLimitHitsHigh": Runbook(
        "Many people run into the limits of their tier: an offer is due, or a limit is wrong.",
        ("Business Metrics dashboard: which tier, which limit? One customer, or many?",),
        ("A limit that a release made too low: correct it. Else tell sales.",),
        _PRODUCT,
    ),
    "ForecastVolumeUnusual": Runbook(
        "Far more forecasts than usual: a script, an abuse, or a very good day.",
        (
            "Who orders them? Which tier"
            f" (`sum by (tier) (increase({m.FORECASTS_GENERATED_TOTAL.name}[1h]))`)?",
        ),
        ("Talk to the customer; a limit for the account.",),
        _PRODUCT,
    ),
    "TierLimitsWidelyHit": Runbook(
        "More than every other user of a tier is at a limit: the tier no longer fits.",
        ("Which tier, which limit; since when?",),
        ("A decision on the tier's limits or on its price.",),
        _PRODUCT,
    ),
    "TestAlert": Runbook(
        "Nothing is wrong. Somebody tries with `otel-accubooks test-alert` whether alerts reach you.",
        (
            "Were you told by each channel of yours? The number of the test is in every notification.",
            "Did nobody start a test? Whoever can send metrics to the gateway can: ask around.",
        ),
        ("Nothing to do: it ends by itself within minutes, whatever becomes of who started it.",),
        _PLATFORM,
    ),
    "Watchdog": Runbook(
        "This alert always fires. It is its silence that matters: then no alert can reach anybody.",
        (
            "Does Prometheus run and evaluate (`/api/v1/rules`)? Does it reach Alertmanager?",
            "Does Alertmanager run and deliver (its log)?",
        ),
        ("Start what is down. Until then look at the dashboards yourself.",),
        _PLATFORM,
    ),
}
