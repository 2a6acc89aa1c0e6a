"""What OpenTelemetry's own variables switch on and off: read where nothing else is imported yet."""

from __future__ import annotations

import os
from collections.abc import Mapping


def disabled() -> bool:
    """True where OTEL_SDK_DISABLED switches all of it off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def asked_for(signal: str, environ: Mapping[str, str] = os.environ, default: str = "none") -> bool:
    """True where OTEL_<signal>_EXPORTER, of METRICS, TRACES or LOGS, names an exporter."""
    named = (environ.get(f"OTEL_{signal}_EXPORTER") or default).split(",")
    return any(name.strip() not in ("", "none") for name in named)


def left_out(environ: Mapping[str, str] = os.environ) -> set[str]:
    """The instrumentations that OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names."""
    named = environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return {name.strip() for name in named} - {""}
