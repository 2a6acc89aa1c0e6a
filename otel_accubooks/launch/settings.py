"""The settings of a process, read once from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from otel_accubooks.contract.endpoints import DEFAULT_PREFIX
from otel_accubooks.export.settings import DEFAULT_INTERVAL_MS, interval_seconds, users_secret
from otel_accubooks.instrument.redis_place import DEFAULT_BUDGET_BYTES, Place, read_place
from otel_accubooks.launch.checked_settings import Fault, faults, unknown
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
from otel_accubooks.launch.switches import asked_for
from otel_accubooks.recorder.folder import default_parent, service_key
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.presence import derived_secret
from otel_accubooks.recorder.recorder import DEFAULT_SERIES_LIMIT


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
        self.faults: tuple[Fault, ...] = ()
        self.unknown: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Reads `environ`; never raises."""
    settings = Settings()
    settings.faults = tuple(faults(environ))
    settings.unknown = tuple(unknown(environ))
    settings.problems += [fault.said for fault in settings.faults]
    env = {**environ, **{fault.name: fault.mended for fault in settings.faults}}
    settings.exports = asked_for("METRICS", env, "otlp")
    if asked_for("TRACES", env):
        filtered = env.get("OTEL_METRICS_EXEMPLAR_FILTER", "").strip().lower()
        settings.exemplars = filtered != "always_off"
    parent = env.get(OTEL_ACCUBOOKS_STATE_DIR, "").strip()
    settings.folder = (Path(parent).resolve() if parent else default_parent()) / service_key(
        service_identity(env) | _destination(env)
    )
    if rules := env.get(OTEL_ACCUBOOKS_RULES, "").strip():
        settings.rules = Path(rules)
    if limit := env.get(OTEL_ACCUBOOKS_SERIES_LIMIT, "").strip():
        settings.series_limit = int(limit)
    if budget := env.get(OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES, "").strip():
        settings.cache_budget_bytes = int(budget)
    if cache := env.get(OTEL_ACCUBOOKS_CACHE_REDIS, "").strip():
        settings.cache_redis = read_place(cache)
    _read_monitoring(env, settings)
    if secret := users_secret(env):
        settings.users_key = derived_secret(secret)
    settings.interval_seconds = interval_seconds(env)
    return settings


def _read_monitoring(env: Mapping[str, str], settings: Settings) -> None:
    if prefix := env.get(OTEL_ACCUBOOKS_MONITORING_PREFIX, "").strip():
        settings.monitoring_prefix = None if prefix.lower() == "none" else prefix
    given = env.get(OTEL_ACCUBOOKS_MONITORING_TOKEN, "").strip()
    tokens = tuple(token.strip() for token in given.split(",") if token.strip())
    # Commas alone are secrets that are missing: nobody may in, rather than everybody.
    settings.monitoring_tokens = tokens or (("",) if given else ())
    wanted = env.get(OTEL_ACCUBOOKS_TEST_ERRORS, "").strip().lower() == "true"
    settings.test_errors = wanted and bool(tokens)
    if wanted and not tokens:
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
