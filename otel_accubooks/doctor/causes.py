"""Causes alone: what is only their consequence, told of the same thing, is left out."""

from __future__ import annotations

from collections.abc import Sequence

from otel_accubooks.doctor.finding import Finding

_EXPORTER_SAYS = ("not-arriving-at-gateway", "gateway-unreachable", "token-refused")
_GATEWAY_IS = (
    "gateway-wrong-path", "not-an-otlp-port", "tls-mismatch", "certificate-refused",
    "gateway-refuses-for-now", "gateway-refuses", "proxy-between",
)  # fmt: skip
_SETTINGS = ("endpoint-path", "port-of-another-protocol")


def causes(findings: Sequence[Finding]) -> list[Finding]:
    """Those of `findings` that do not follow from another one of them."""
    return [one for one in findings if not any(_follows(one, other) for other in findings)]


def _follows(one: Finding, cause: Finding) -> bool:
    if one.kind.id in _EXPORTER_SAYS and cause.kind.id in _GATEWAY_IS:
        address = str(cause.where.get("address", ""))
        said = one.found.partition(" arriving at ")[2].partition(" ")[0].rstrip(":")
        return bool(said) and address.startswith(said)
    if one.kind.id in _GATEWAY_IS and cause.kind.id in _SETTINGS:
        return one.where.get("service") == f"pid {cause.where.get('pid')}"
    if one.kind.id == "gateway-cannot-hand-on":
        return cause.kind.id == "prometheus-takes-no-push"
    if one.kind.id == "exporter-problem" and cause.kind.id == "exporter-not-installed":
        return "which is not installed" in one.found
    return False
