"""What the exporter is told by the environment."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_INTERVAL_MS = 15_000
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
