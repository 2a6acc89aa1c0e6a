"""Flask with the monitoring endpoints in front of it."""

from __future__ import annotations

from typing import Any

from otel_accubooks.instrument import flask
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.monitoring.paths import PATHS


def instrument(module: Any) -> Patches:
    """Measures every Flask application of this process; `module` is flask."""
    for path in PATHS:
        flask.endpoints[path] = _answer
    return flask.instrument(module)


def _answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    from otel_accubooks.monitoring.endpoints import answer  # psutil and more, when first asked for

    return answer(environ, start_response)
