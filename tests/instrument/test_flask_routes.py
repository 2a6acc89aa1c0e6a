"""Which paths are the application's own."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from otel_accubooks.contract.endpoints import all_paths
from otel_accubooks.instrument.flask_routes import is_free

METRICS = "/api/metrics"
OURS = all_paths()


def application(*rules: str, **options: Any) -> Flask:
    app = Flask(__name__, static_folder=None)
    for rule in rules:
        app.add_url_rule(rule, rule, lambda **_: "theirs", **options)
    return app


@pytest.mark.parametrize(
    "rule",
    ["/<path:anything>", "/api/<name>", "/api/<path:rest>", "/<a>/<b>", "/api/metrics2", "/"],
)
def test_a_pattern_takes_no_path(rule: str) -> None:
    """A catch-all, as single-page applications have it, hides no endpoint."""
    assert is_free(application(rule), METRICS, OURS)


@pytest.mark.parametrize("rule", ["/api/metrics", "/api/metrics/"])
def test_a_route_of_its_own_is_the_applications(rule: str) -> None:
    """With or without a slash behind it, whatever its methods, and beside a catch-all."""
    app = application(rule, "/<path:anything>", methods=["POST"])
    assert not is_free(app, METRICS, OURS)
    assert not is_free(app, f"{METRICS}/", OURS)
    assert is_free(app, "/api/monitoring/health", OURS)


def test_a_route_that_comes_later_is_seen() -> None:
    """Blueprints may be registered after the first look."""
    app = application()
    assert is_free(app, METRICS, OURS)
    app.add_url_rule(METRICS, "late", lambda: "theirs")
    assert not is_free(app, METRICS, OURS)


def test_a_rule_that_only_builds_addresses_takes_no_path() -> None:
    """It answers nothing."""
    assert is_free(application(METRICS, build_only=True), METRICS, OURS)


@pytest.mark.parametrize("behind", [False, True])
def test_what_is_mounted_inside_is_the_applications(behind: bool) -> None:
    """By werkzeug's dispatcher in the place of wsgi_app, as prometheus_client's documentation has it."""
    app = application()
    mounts: dict[str, Any] = {
        METRICS: lambda *_: [b"theirs"],
        "/api/monitoring": application("/health"),
    }
    middleware: Any = DispatcherMiddleware(app.wsgi_app, mounts)
    app.wsgi_app = ProxyFix(middleware) if behind else middleware  # type: ignore[method-assign]
    assert not is_free(app, METRICS, OURS)
    assert not is_free(app, "/api/monitoring/health", OURS)
    assert is_free(app, "/api/monitoring/summary", OURS)


def test_an_application_that_cannot_be_looked_into_keeps_its_paths() -> None:
    """What cannot be told is the application's, and a request never fails by the look."""
    app = application()
    app.url_map = None  # type: ignore[assignment]
    assert not is_free(app, METRICS, OURS)
