"""Instrumentation that somebody careful writes by hand: how cheap each way of counting can be.

"aggregation": lists of each thread and a bisection, to be read when somebody collects: the floor.
"prometheus_client": its counters and histograms, children looked up once.
"opentelemetry": the SDK's instruments, attributes prepared, no exemplars, no spans, sent by OTLP.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable
from time import perf_counter
from typing import Any

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
QUERY_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

Observe = Callable[[float], None]
# (method, route, status), or an operation -> what takes the seconds of one
ForRequest = Callable[[tuple[str, str, int]], Observe]
ForOperation = Callable[[str], Observe]


def install(way: str, app: Any) -> Any:
    """Counts requests and Redis commands from here on; gives the cursor class that counts queries."""
    makers = {
        "aggregation": _aggregation,
        "prometheus_client": _prometheus_client,
        "opentelemetry": _opentelemetry,
    }
    requests, active, queries, commands = makers[way]()
    if way == "aggregation":
        _around_dispatch(app, requests, active)
    else:
        _by_flask_hooks(app, requests, active)
    _around_redis(commands)
    return _cursor(queries)


def _aggregation() -> tuple[ForRequest, Observe, ForOperation, ForOperation]:
    local, all_cells, lock = threading.local(), [], threading.Lock()
    running = [0]

    def measure(name: str, bounds: tuple[float, ...]) -> Callable[[Any], Observe]:
        def for_key(key: Any) -> Observe:
            def observe(seconds: float) -> None:
                try:
                    cells = local.__dict__[name, key]
                except KeyError:
                    cells = local.__dict__[name, key] = [0] * (len(bounds) + 1) + [0.0]
                    with lock:
                        all_cells.append((name, key, cells))
                cells[bisect_left(bounds, seconds)] += 1
                cells[-1] += seconds

            return observe

        return for_key

    def active(change: float) -> None:
        running[0] += change

    query, command = measure("query", QUERY_SECONDS), measure("command", QUERY_SECONDS)
    return measure("request", REQUEST_SECONDS), active, query, command


def _prometheus_client() -> tuple[ForRequest, Observe, ForOperation, ForOperation]:
    from prometheus_client import Counter, Gauge, Histogram

    labels = ("method", "route", "status")
    seconds = Histogram("request_seconds", "of requests", labels, buckets=REQUEST_SECONDS)
    count = Counter("requests", "of each kind", labels)
    active = Gauge("requests_active", "at the moment", ["method"]).labels("GET")
    operations = Histogram(
        "operation_seconds", "of each", ["system", "operation"], buckets=QUERY_SECONDS
    )

    def for_request(key: tuple[str, str, int]) -> Observe:
        observe, add = seconds.labels(*key).observe, count.labels(*key).inc

        def both(value: float) -> None:
            observe(value)
            add()

        return both

    def for_operation(system: str) -> ForOperation:
        return lambda name: operations.labels(system, name).observe

    return for_request, active.inc, for_operation("postgresql"), for_operation("redis")


def _opentelemetry() -> tuple[ForRequest, Observe, ForOperation, ForOperation]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    meter = MeterProvider([reader], exemplar_filter=AlwaysOffExemplarFilter()).get_meter("bench")
    seconds = meter.create_histogram(
        "http.server.request.duration", explicit_bucket_boundaries_advisory=REQUEST_SECONDS
    )
    count = meter.create_counter("http.server.requests")
    active = meter.create_up_down_counter("http.server.active_requests")
    operations = meter.create_histogram(
        "db.client.operation.duration", explicit_bucket_boundaries_advisory=QUERY_SECONDS
    )
    of_active = {"http.request.method": "GET", "url.scheme": "http"}

    def for_request(key: tuple[str, str, int]) -> Observe:
        method, route, status = key
        attributes = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "url.scheme": "http",
        }

        def both(value: float) -> None:
            seconds.record(value, attributes)
            count.add(1, attributes)

        return both

    def for_operation(system: str) -> ForOperation:
        def of(name: str) -> Observe:
            attributes = {
                "db.system.name": system,
                "db.operation.name": name,
                "db.namespace": "bench",
                "server.address": "127.0.0.1",
            }
            return lambda value: operations.record(value, attributes)

        return of

    def change(by: float) -> None:
        active.add(by, of_active)

    return for_request, change, for_operation("postgresql"), for_operation("redis")


def _around_dispatch(app: Any, requests: ForRequest, active: Observe) -> None:
    """The cheapest place: within the request's context, without Flask's hooks."""
    from flask.globals import request_ctx

    observers: dict[tuple[str, str, int], Observe] = {}
    original = app.full_dispatch_request

    def full_dispatch_request(*args: Any, **kwargs: Any) -> Any:
        begun = perf_counter()
        active(1)
        status = 500
        try:
            response = original(*args, **kwargs)
            status = response.status_code
            return response
        finally:
            active(-1)
            request = request_ctx.request
            rule = request.url_rule
            key = (request.method, rule.rule if rule is not None else "", status)
            observe = observers.get(key)
            if observe is None:
                observe = observers[key] = requests(key)
            observe(perf_counter() - begun)

    app.full_dispatch_request = full_dispatch_request


def _by_flask_hooks(app: Any, requests: ForRequest, active: Observe) -> None:
    from flask import g, request

    observers: dict[tuple[str, str, int], Observe] = {}

    @app.before_request
    def _before() -> None:
        active(1)
        g.begun = perf_counter()

    @app.after_request
    def _after(response: Any) -> Any:
        seconds = perf_counter() - g.begun
        rule = request.url_rule
        key = (request.method, rule.rule if rule is not None else "", response.status_code)
        observe = observers.get(key)
        if observe is None:
            observe = observers[key] = requests(key)
        observe(seconds)
        active(-1)
        return response


def _around_redis(commands: ForOperation) -> None:
    import redis

    observers: dict[str, Observe] = {}
    original = redis.Redis.execute_command

    def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        begun = perf_counter()
        try:
            return original(self, *args, **options)
        finally:
            observe = observers.get(args[0])
            if observe is None:
                observe = observers[args[0]] = commands(args[0])
            observe(perf_counter() - begun)

    redis.Redis.execute_command = execute_command


def _cursor(queries: ForOperation) -> Any:
    from psycopg2.extensions import cursor

    observers: dict[Any, Observe] = {}
    original = cursor.execute

    class TimedCursor(cursor):  # type: ignore[misc]
        def execute(self, query: Any, parameters: Any = None) -> Any:
            begun = perf_counter()
            try:
                return original(self, query, parameters)
            finally:
                observe = observers.get(query)
                if observe is None:
                    word = query.lstrip().split(None, 1)[0].upper()
                    observe = observers[query] = queries(word)
                observe(perf_counter() - begun)

    return TimedCursor
