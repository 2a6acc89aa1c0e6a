"""The settings of a process, read once from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from otel_accubooks.export.settings import DEFAULT_INTERVAL_MS, interval_seconds
from otel_accubooks.launch.environment_variables import (
    OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES,
    OTEL_ACCUBOOKS_RULES,
    OTEL_ACCUBOOKS_SERIES_LIMIT,
    OTEL_ACCUBOOKS_STATE_DIR,
)
from otel_accubooks.recorder.folder import default_parent, service_key
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.recorder import DEFAULT_SERIES_LIMIT


@dataclass
class Settings:
    """What the environment asks for; `problems` are one line each, the defaults stand for them."""

    disabled: bool = False
    exports: bool = True
    traces: bool = False
    logs: bool = False
    folder: Path = Path()
    rules: Path | None = None
    series_limit: int = DEFAULT_SERIES_LIMIT
    cache_budget_bytes: int = 2 * 1024**3
    interval_seconds: float = DEFAULT_INTERVAL_MS / 1000
    problems: list[str] = field(default_factory=list)


def read_settings(env: Mapping[str, str]) -> Settings:
    """Reads `env`; never raises."""
    settings = Settings()
    settings.disabled = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    settings.exports = _names(env, "OTEL_METRICS_EXPORTER", "otlp")
    settings.traces = _names(env, "OTEL_TRACES_EXPORTER", "none")
    settings.logs = _names(env, "OTEL_LOGS_EXPORTER", "none")
    parent = env.get(OTEL_ACCUBOOKS_STATE_DIR, "").strip()
    settings.folder = (Path(parent).resolve() if parent else default_parent()) / service_key(
        service_identity(env) | _destination(env)
    )
    if rules := env.get(OTEL_ACCUBOOKS_RULES, "").strip():
        settings.rules = Path(rules)
    settings.series_limit = _positive(env, OTEL_ACCUBOOKS_SERIES_LIMIT, settings)
    settings.cache_budget_bytes = _positive(env, OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES, settings)
    try:
        settings.interval_seconds = interval_seconds(env)
    except ValueError as error:
        settings.problems.append(str(error))
    return settings


def _destination(env: Mapping[str, str]) -> dict[str, str]:
    """Where the metrics go: copies of a service that were told different places send for themselves."""
    names = {
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "",
        "OTEL_EXPORTER_OTLP_HEADERS": "",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "",
    }
    return {name: env.get(name) or default for name, default in names.items()}


def _names(env: Mapping[str, str], name: str, default: str) -> bool:
    named = (part.strip() for part in (env.get(name) or default).split(","))
    return any(part not in ("", "none") for part in named)


def _positive(env: Mapping[str, str], name: str, settings: Settings) -> int:
    default: int = getattr(settings, name.removeprefix("OTEL_ACCUBOOKS_").lower())
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        if (value := int(text)) > 0:
            return value
    except ValueError:
        pass
    settings.problems.append(f"{name} is {text!r}, expected a number above 0; {default} is used")
    return default
