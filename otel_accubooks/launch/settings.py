"""The settings of a process, read once from its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from otel_accubooks.contract.endpoints import DEFAULT_PREFIX
from otel_accubooks.export.settings import (
    DEFAULT_INTERVAL_MS,
    interval_seconds,
    users_redis,
    users_secret,
)
from otel_accubooks.instrument.redis_place import (
    DEFAULT_BUDGET_BYTES,
    EXPECTED,
    Place,
    read_place,
)
from otel_accubooks.launch.environment_variables import (
    OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES,
    OTEL_ACCUBOOKS_CACHE_REDIS,
    OTEL_ACCUBOOKS_MONITORING_PREFIX,
    OTEL_ACCUBOOKS_MONITORING_TOKEN,
    OTEL_ACCUBOOKS_RULES,
    OTEL_ACCUBOOKS_SERIES_LIMIT,
    OTEL_ACCUBOOKS_STATE_DIR,
    OTEL_ACCUBOOKS_TEST_ERRORS,
)
from otel_accubooks.recorder.folder import default_parent, service_key
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.presence import derived_secret
from otel_accubooks.recorder.recorder import DEFAULT_SERIES_LIMIT

_PREFIX = r"/|(/[A-Za-z0-9._~-]+)+/?"


class Settings:
    """What the environment asks for; `problems` are one line each, the defaults stand for them."""

    exports: bool = True
    exemplars: bool = False
    folder: Path = Path()
    rules: Path | None = None
    series_limit: int = DEFAULT_SERIES_LIMIT
    cache_budget_bytes: int = DEFAULT_BUDGET_BYTES
    cache_redis: Place | None = None
    interval_seconds: float = DEFAULT_INTERVAL_MS / 1000
    monitoring_prefix: str | None = DEFAULT_PREFIX
    monitoring_tokens: tuple[str, ...] = ()
    test_errors: bool = False
    users_key: bytes | None = None

    def __init__(self) -> None:
        self.problems: list[str] = []


def read_settings(env: Mapping[str, str]) -> Settings:
    """Reads `env`; never raises."""
    settings = Settings()
    settings.exports = _names(env, "OTEL_METRICS_EXPORTER", "otlp")
    if _names(env, "OTEL_TRACES_EXPORTER", "none"):
        settings.exemplars = _exemplar_filter(env, settings) != "always_off"
    parent = env.get(OTEL_ACCUBOOKS_STATE_DIR, "").strip()
    settings.folder = (Path(parent).resolve() if parent else default_parent()) / service_key(
        service_identity(env) | _destination(env)
    )
    if rules := env.get(OTEL_ACCUBOOKS_RULES, "").strip():
        settings.rules = Path(rules)
    settings.series_limit = _positive(env, OTEL_ACCUBOOKS_SERIES_LIMIT, settings)
    settings.cache_budget_bytes = _positive(env, OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES, settings)
    settings.cache_redis = _cache_redis(env, settings)
    _read_monitoring(env, settings)
    if secret := users_secret(env):
        settings.users_key = derived_secret(secret)
    try:
        users_redis(env)
    except ValueError as error:
        settings.problems.append(str(error))
    try:
        settings.interval_seconds = interval_seconds(env)
    except ValueError as error:
        settings.problems.append(str(error))
    return settings


def _read_monitoring(env: Mapping[str, str], settings: Settings) -> None:
    prefix = env.get(OTEL_ACCUBOOKS_MONITORING_PREFIX, "").strip()
    if prefix.lower() == "none":
        settings.monitoring_prefix = None
    elif re.fullmatch(_PREFIX, prefix):
        settings.monitoring_prefix = prefix
    elif prefix:
        settings.problems.append(
            f"{OTEL_ACCUBOOKS_MONITORING_PREFIX} is {prefix!r}, expected a path such as "
            f"{DEFAULT_PREFIX}, or none; {DEFAULT_PREFIX} is used"
        )
    given = env.get(OTEL_ACCUBOOKS_MONITORING_TOKEN, "").strip()
    tokens = tuple(token.strip() for token in given.split(",") if token.strip())
    # Commas alone are two secrets that are missing: nobody may in, rather than everybody.
    settings.monitoring_tokens = tokens or (("",) if given else ())
    if given and not tokens:
        settings.problems.append(
            f"{OTEL_ACCUBOOKS_MONITORING_TOKEN} has commas and no token, expected one or several "
            "separated by commas; until then all endpoints but health are closed"
        )
    wanted = env.get(OTEL_ACCUBOOKS_TEST_ERRORS, "").strip().lower()
    settings.test_errors = wanted == "true" and bool(tokens)
    if wanted not in ("", "true", "false"):
        settings.problems.append(
            f"{OTEL_ACCUBOOKS_TEST_ERRORS} is {wanted!r}, expected true or false; false is used"
        )
    elif wanted == "true" and not settings.test_errors:
        settings.problems.append(
            f"{OTEL_ACCUBOOKS_TEST_ERRORS} is true without a token: errors can be triggered once "
            f"{OTEL_ACCUBOOKS_MONITORING_TOKEN} is set"
        )


def _destination(env: Mapping[str, str]) -> dict[str, str]:
    """Where the metrics go: copies of a service that were told different places send for themselves."""
    names = {
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "",
        "OTEL_EXPORTER_OTLP_HEADERS": "",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "",
    }
    return {name: env.get(name) or default for name, default in names.items()}


def _exemplar_filter(env: Mapping[str, str], settings: Settings) -> str:
    text = env.get("OTEL_METRICS_EXEMPLAR_FILTER", "").strip().lower() or "trace_based"
    if text not in ("trace_based", "always_on", "always_off"):
        settings.problems.append(
            f"OTEL_METRICS_EXEMPLAR_FILTER is {text!r}, expected trace_based, always_on or "
            "always_off; trace_based is used"
        )
    return text


def _names(env: Mapping[str, str], name: str, default: str) -> bool:
    named = (part.strip() for part in (env.get(name) or default).split(","))
    return any(part not in ("", "none") for part in named)


def _cache_redis(env: Mapping[str, str], settings: Settings) -> Place | None:
    text = env.get(OTEL_ACCUBOOKS_CACHE_REDIS, "").strip()
    try:
        return read_place(text) if text else None
    except ValueError:
        shown = text.rpartition("@")[2]  # without a password
        settings.problems.append(
            f"{OTEL_ACCUBOOKS_CACHE_REDIS} is {shown!r}, expected {EXPECTED}; "
            "every Redis that the application uses counts as cache"
        )
        return None


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
