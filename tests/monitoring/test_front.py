"""The endpoints as a WSGI server sees them."""

from __future__ import annotations

import gzip
import json
from typing import Any, NamedTuple

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.endpoints import all_paths
from otel_accubooks.contract.unsent import TARGET_HEALTHY
from otel_accubooks.monitoring import front as front_module
from otel_accubooks.monitoring.front import Front
from otel_accubooks.recorder.recorder import Recorder

PREFIX = "/api/monitoring"


class Answered(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def ask(front: Front, path: str, method: str = "GET", **headers: str) -> Answered:
    started: list[Any] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    body = b"".join(front(environ, lambda *given: started.append(given)))
    ((status, pairs),) = started
    return Answered(int(status[:3]), dict(pairs), body)


@pytest.fixture
def front(recorder: Recorder) -> Front:
    return Front(PREFIX, (), test_errors=False)


@pytest.fixture
def guarded(recorder: Recorder) -> Front:
    return Front(PREFIX, ("old", "new"), test_errors=True)


@pytest.mark.parametrize("path", [path for path in all_paths() if "trigger" not in path])
def test_every_path_is_answered_and_never_kept(front: Front, path: str) -> None:
    """With and without a slash behind it; HEAD has the same headers and no body."""
    got, head = ask(front, path), ask(front, path, "HEAD")
    assert got.status == head.status == 200
    assert got.headers["Cache-Control"] == "no-store"
    assert got.headers["Content-Length"] == str(len(got.body))
    assert head.body == b""
    assert head.headers.keys() == got.headers.keys()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_told_what_is_allowed(front: Front, method: str) -> None:
    """405 with Allow, as RFC 9110 wants it."""
    answered = ask(front, f"{PREFIX}/health", method)
    assert (answered.status, answered.headers["Allow"]) == (405, "GET, HEAD")


def test_all_but_health_want_the_token(guarded: Front) -> None:
    """401 says which kind of authorization; while tokens change, both are right."""
    assert ask(guarded, f"{PREFIX}/health").status == 200
    for path in ("metrics", "health/detailed", "pool-config", "summary"):
        refused = ask(guarded, f"{PREFIX}/{path}")
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        assert ask(guarded, f"{PREFIX}/{path}", authorization="Bearer wrong").status == 401
        for token in ("old", "new"):
            assert ask(guarded, f"{PREFIX}/{path}", authorization=f"Bearer {token}").status == 200
    assert ask(guarded, "/api/metrics").status == 401


def test_the_drill_is_not_there_until_it_is_switched_on(front: Front, guarded: Front) -> None:
    """404 for whoever asks, with whatever; then 401 without the token, 405 for a GET with it."""
    path = "/api/test/trigger-errors"
    for method in ("GET", "POST"):
        assert ask(front, path, method, authorization="Bearer old").status == 404
    assert ask(guarded, path, "POST").status == 401
    assert ask(guarded, path, "GET").status == 401
    assert ask(guarded, path, "GET", authorization="Bearer new").headers["Allow"] == "POST"


def test_unhealthy_is_503(front: Front, recorder: Recorder) -> None:
    """Load balancers read the status; the body is the same as ever."""
    recorder.gauge(TARGET_HEALTHY).labels("database", "database x").set(0.0)
    for path in ("health", "health/detailed"):
        answered = ask(front, f"{PREFIX}/{path}")
        assert answered.status == 503
        assert json.loads(answered.body)["status"] == "unhealthy"
    assert ask(front, f"{PREFIX}/summary").status == 200


def test_a_scrape_of_health_has_its_status_and_no_sample(front: Front, recorder: Recorder) -> None:
    """Prometheus cannot read JSON: `up` of such a scrape says whether the service is healthy."""
    accepts = {
        "application/openmetrics-text;version=1.0.0,text/plain;q=0.5": b"# EOF\n",
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1": b"\n",
    }
    for status in (200, 503):
        for accept, body in accepts.items():
            answered = ask(front, f"{PREFIX}/health", accept=accept)
            assert (answered.status, answered.body) == (status, body)
        for accept in ("*/*", "text/plain", "application/json", "text/html,*/*;q=0.8"):
            assert b'"status"' in ask(front, f"{PREFIX}/health", accept=accept).body
        recorder.gauge(TARGET_HEALTHY).labels("queue", "queue x").set(0.0)


def test_metrics_come_as_the_client_likes_them(front: Front, recorder: Recorder) -> None:
    """Prometheus text or OpenMetrics, compressed or not: the same numbers."""
    counter = recorder.counter(m.HTTP_REQUESTS_TOTAL)
    for number in range(50):
        counter.labels("GET", f"/{number}", "200").add(number)
    plain = ask(front, "/api/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    accept = "application/openmetrics-text; version=1.0.0"
    small = ask(front, "/api/metrics", accept=accept, accept_encoding="gzip")
    assert small.headers["Content-Type"] == f"{accept}; charset=utf-8"
    assert small.headers["Content-Encoding"] == "gzip"
    line = b'http_requests_total{method="GET",route="/49",status_code="200"} 49'
    opened = gzip.decompress(small.body)
    assert line in plain.body.splitlines()
    assert line in opened.splitlines()
    assert opened.endswith(b"# EOF\n")
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == small.headers["Vary"] == "Accept, Accept-Encoding"


def test_a_failure_of_our_own_is_503_and_no_exception(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it reaches the server; the text is in the log."""

    def broken(_: object) -> str:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(front_module, "prometheus_text", broken)
    answered = ask(front, "/api/metrics")
    assert answered.status == 503
    assert b"secret" not in answered.body
