"""Flask with the monitoring endpoints in front of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from otel_accubooks.contract.endpoints import TRIGGER_ERRORS, all_paths
from otel_accubooks.instrument import flask
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.launch.start import settings

_fronts: dict[str, Any] = {}


def instrument(module: Any) -> Patches:
    """Measures every Flask application of this process; `module` is flask."""
    given = settings()
    prefix = given.monitoring_prefix
    if prefix is not None:
        for path in all_paths(prefix):
            # Off, it is a path like any that is not there: nobody can tell that it could be.
            if given.test_errors or path.rstrip("/") != TRIGGER_ERRORS.path:
                flask.endpoints[path] = _answer
    return flask.instrument(module)


def _answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    front = _fronts.get("") or _fronts.setdefault("", _front())  # one, also for two first requests
    answered: Iterable[bytes] = front(environ, start_response)
    return answered


def _front() -> Any:
    from otel_accubooks.monitoring.front import Front  # json and more, when first asked for

    given = settings()
    prefix = given.monitoring_prefix or ""
    return Front(prefix, given.monitoring_tokens, test_errors=given.test_errors)
