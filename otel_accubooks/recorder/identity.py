"""The identity of a service, by which its processes find each other."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

_NAMES = (
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
)


def service_identity(env: Mapping[str, str]) -> dict[str, str]:
    """What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES in `env` say of the service.

    Source: OpenTelemetry specification, resource SDK. Parts that are not key=value are left out.
    """
    pairs = (pair.partition("=") for pair in env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    found = {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}
    if env.get("OTEL_SERVICE_NAME"):
        found["service.name"] = env["OTEL_SERVICE_NAME"]
    return {name: found[name] for name in _NAMES if name in found}
