"""What the exporter is told by the environment."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_INTERVAL_MS = 15_000
_TIMEOUT_SECONDS = 10.0  # the exporters' own default
LONGEST_ANSWER_SECONDS = 60.0
# The entry point of the OTLP exporter for each value of OTEL_EXPORTER_OTLP_PROTOCOL.
OTLP_BY_PROTOCOL = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def interval_seconds(env: Mapping[str, str]) -> float:
    """OTEL_METRIC_EXPORT_INTERVAL (milliseconds) in seconds. Raises ValueError with what it found."""
    text = env.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip() or str(DEFAULT_INTERVAL_MS)
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = 0.0
    if not 1000 <= milliseconds <= 3_600_000:
        raise ValueError(
            f"OTEL_METRIC_EXPORT_INTERVAL is {text!r}, expected milliseconds from 1000 to 3600000; "
            f"{DEFAULT_INTERVAL_MS} is used"
        )
    return milliseconds / 1000


def longest_export_seconds(env: Mapping[str, str]) -> float:
    """After how many seconds an export has hung, whatever OTEL_EXPORTER_OTLP_TIMEOUT leaves open.

    That is for each answer: at most two are waited for, and each for a minute at most.
    """
    text = env.get("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT") or env.get("OTEL_EXPORTER_OTLP_TIMEOUT")
    try:
        seconds = float(text or _TIMEOUT_SECONDS)
    except ValueError:
        seconds = _TIMEOUT_SECONDS
    return 2 * min(max(seconds, 0.0), LONGEST_ANSWER_SECONDS) + 10


# Without the address itself, which may hold a password.
NO_USERS_REDIS = (
    "OTEL_ACCUBOOKS_REDIS_URL is no address of a Redis, expected one such as "
    "redis://10.0.0.1:6379/0; users are counted for each host alone"
)


def users_redis(env: Mapping[str, str]) -> str | None:
    """The address in OTEL_ACCUBOOKS_REDIS_URL, if there is one. Raises ValueError, without it."""
    url = env.get("OTEL_ACCUBOOKS_REDIS_URL", "").strip()
    if url and not _is_redis(url):
        raise ValueError(NO_USERS_REDIS)
    return url or None


def _is_redis(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is none is told only when it is read
    except ValueError:
        return False
    if parts.scheme == "unix":
        return bool(parts.path.strip("/"))
    return parts.scheme in ("redis", "rediss")


def users_secret(env: Mapping[str, str]) -> str:
    """What the hosts of a service have in common and nobody else knows; empty for one host alone."""
    return env.get("OTEL_ACCUBOOKS_SECRET", "").strip() or (
        env.get("OTEL_ACCUBOOKS_REDIS_URL", "").strip()
    )
