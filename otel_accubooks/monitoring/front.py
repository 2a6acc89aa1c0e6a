"""What is answered in front of the application, before its own hooks and log-in walls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from otel_accubooks.contract.endpoints import (
    ENDPOINTS,
    HEALTH,
    HEALTH_DETAILED,
    METRICS_PAGE,
    POOL_CONFIG,
    SUMMARY,
    TRIGGER_ERRORS,
    UNHEALTHY,
    UNHEALTHY_HTTP_STATUS,
    Endpoint,
)
from otel_accubooks.instrument.guard import say_failed
from otel_accubooks.monitoring import answers
from otel_accubooks.monitoring.access import allowed
from otel_accubooks.monitoring.drill import Drills, Refused
from otel_accubooks.monitoring.exposition import (
    OPENMETRICS_TYPE,
    TEXT_TYPE,
    openmetrics_text,
    prometheus_text,
)
from otel_accubooks.monitoring.limit import Limit, Limits
from otel_accubooks.monitoring.negotiation import is_scrape, openmetrics_version, takes_gzip
from otel_accubooks.monitoring.service import Service
from otel_accubooks.recorder.totals import Point

Environ = dict[str, Any]

_WORTH_COMPRESSING = 1024
_FLOODED_SECONDS = 1.0
_METHODS = {"GET": ("GET", "HEAD"), "POST": ("POST",)}


@dataclass
class Answer:
    """Status, body, and the headers beyond those that every answer has."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)


class Front:
    """The monitoring endpoints of one process, as a WSGI application that never raises."""

    def __init__(self, prefix: str, tokens: tuple[str, ...], *, test_errors: bool) -> None:
        self._tokens = tokens
        self._test_errors = test_errors
        self._endpoints = {path: one for one in ENDPOINTS for path in one.paths(prefix)}
        self._service = Service()
        self._limits = Limits()
        self._last_health: tuple[float, answers.Values] | None = None
        self._drills = Drills(self._service)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request for one of the contract's paths, with or without a slash behind it."""
        try:
            answer = self._answer(environ)
        except Exception:
            say_failed("answering a monitoring endpoint")
            answer = _error(503, "this cannot be answered now: the log says why")
        status = HTTPStatus(answer.status)
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            *answer.headers,
        ]
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [answer.body]

    def _answer(self, environ: Environ) -> Answer:
        path = environ["PATH_INFO"]
        endpoint = self._endpoints.get(path) or self._endpoints[path.rstrip("/")]
        if endpoint is TRIGGER_ERRORS and not self._test_errors:
            return _error(404, "not found")
        if refused := self._not_let_in(endpoint, environ):
            return refused
        methods = _METHODS[endpoint.method]
        if environ.get("REQUEST_METHOD") not in methods:
            return _error(405, f"expected {' or '.join(methods)}", ("Allow", ", ".join(methods)))
        if not endpoint.open and not (limit := self._limits.answers()).passes():
            return _too_many(limit)
        return _ANSWERS[endpoint.name](self, environ)

    def _not_let_in(self, endpoint: Endpoint, environ: Environ) -> Answer | None:
        shown = environ.get("HTTP_AUTHORIZATION", "")
        if not self._tokens or endpoint.open or allowed(shown, self._tokens):
            return None
        if not (limit := self._limits.refusals()).passes():
            return _too_many(limit)
        wanted = ("WWW-Authenticate", 'Bearer realm="monitoring"')
        return _error(401, "expected a header Authorization: Bearer <token>", wanted)

    def _metrics(self, environ: Environ) -> Answer:
        kind, text = _page(self._service.look().points, environ.get("HTTP_ACCEPT", ""))
        answer = Answer(200, text, kind)
        answer.headers.append(("Vary", "Accept, Accept-Encoding"))
        if len(answer.body) >= _WORTH_COMPRESSING and takes_gzip(
            environ.get("HTTP_ACCEPT_ENCODING", "")
        ):
            import gzip

            answer.body = gzip.compress(answer.body, compresslevel=1, mtime=0)
            answer.headers.append(("Content-Encoding", "gzip"))
        return answer

    def _health(self, environ: Environ) -> Answer:
        answer = _of_health(self._health_of_now())
        accept = environ.get("HTTP_ACCEPT", "")
        if is_scrape(accept):
            # Without a sample: what counts is whether it is 200, of which `up` is made.
            kind, text = _page([], accept)
            answer = Answer(answer.status, text, kind)
        answer.headers.append(("Vary", "Accept"))
        return answer

    def _health_of_now(self) -> answers.Values:
        last, now = self._last_health, time.monotonic()
        # A probe that was refused would stop an application that is well.
        new_enough = last is not None and 0 <= now - last[0] < _FLOODED_SECONDS
        if last is not None and new_enough and not self._limits.health().passes():
            return last[1]
        values = answers.health(self._service.look())
        self._last_health = now, values
        return values

    def _health_detailed(self, _: Environ) -> Answer:
        return _of_health(answers.health_detailed(self._service.look()))

    def _pool_config(self, _: Environ) -> Answer:
        return _json(200, answers.pool_config(self._service.look()))

    def _summary(self, _: Environ) -> Answer:
        return _json(200, answers.summary(self._service.look()))

    def _trigger_errors(self, environ: Environ) -> Answer:
        try:
            return _json(202, self._drills.start(environ))
        except Refused as refused:
            return _json(refused.status, {"error": str(refused), **refused.more})


_ANSWERS: dict[str, Callable[[Front, Environ], Answer]] = {
    METRICS_PAGE.name: Front._metrics,
    HEALTH.name: Front._health,
    HEALTH_DETAILED.name: Front._health_detailed,
    POOL_CONFIG.name: Front._pool_config,
    SUMMARY.name: Front._summary,
    TRIGGER_ERRORS.name: Front._trigger_errors,
}


def _page(points: Iterable[Point], accept: str) -> tuple[str, bytes]:
    version = openmetrics_version(accept)
    if version is None:
        return TEXT_TYPE, prometheus_text(points).encode()
    return OPENMETRICS_TYPE.format(version=version), openmetrics_text(points).encode()


def _too_many(limit: Limit) -> Answer:
    return _error(429, "too many at once, expected fewer", ("Retry-After", str(limit.seconds())))


def _of_health(values: answers.Values) -> Answer:
    unhealthy = values["status"] == UNHEALTHY
    return _json(UNHEALTHY_HTTP_STATUS if unhealthy else 200, values)


def _json(status: int, values: answers.Values) -> Answer:
    return Answer(status, (json.dumps(values) + "\n").encode())


def _error(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    return Answer(status, (json.dumps({"error": text}) + "\n").encode(), headers=list(headers))
