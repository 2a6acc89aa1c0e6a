"""Where metrics are sent, as the applications were told, and with what they show who they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from otel_accubooks.doctor.processes import Application
from otel_accubooks.doctor.service import Service
from otel_accubooks.export.exporters import ExporterError, exporter_names
from otel_accubooks.export.status import DEFAULT_ENDPOINT
from otel_accubooks.servers.settings import Servers

PATH = "/v1/metrics"
_PROMETHEUS_PORT = 9464


@dataclass(frozen=True)
class Destination:
    """One address of OTLP over HTTP, whole; `who` sends there. Its headers may be secret."""

    url: str
    who: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    grpc: bool = False
    delta: bool = False

    @property
    def client(self) -> tuple[str, str] | None:
        """The certificate and the key that the sender shows, if it shows any."""
        names = ("CLIENT_CERTIFICATE", "CLIENT_KEY")
        found = [
            self.env.get(f"OTEL_EXPORTER_OTLP_METRICS_{name}")
            or self.env.get(f"OTEL_EXPORTER_OTLP_{name}", "")
            for name in names
        ]
        return (found[0], found[1]) if all(found) else None

    @property
    def shown(self) -> str:
        """Its address without what may be a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def key(self) -> tuple[str, str]:
        """What tells one from another: whole address, and what is shown there."""
        return self.url, str(sorted(self.headers.items()))

    @property
    def base(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def protocol(env: Mapping[str, str]) -> str:
    """How metrics are sent, as the environment says."""
    given = env.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    return (given or "http/protobuf").strip()


def scraped_port(env: Mapping[str, str]) -> int | None:
    """Where the exporter `prometheus` serves its page; None where it is not asked for."""
    try:
        if "prometheus" not in exporter_names(env):
            return None
        return int(env.get("OTEL_EXPORTER_PROMETHEUS_PORT", "").strip() or _PROMETHEUS_PORT)
    except (ExporterError, ValueError):
        return None


def destinations(
    applications: Iterable[Application],
    services: Iterable[Service],
    named: str,
    environ: Mapping[str, str],
) -> list[Destination]:
    """Each address once: those of the applications, and the gateway `named` to the doctor.

    Where nobody names one, the default is asked for applications that use it, or that are not seen.
    `environ` is the doctor's own.
    """
    found: dict[tuple[str, str], Destination] = {}
    seen = list(applications)
    environments: list[tuple[Mapping[str, str], str, Path | None]] = []
    for application in seen:
        one = next((m for m in application.members if m.launched), application.first)
        env = one.env or {}
        if one.launched or any(name.startswith("OTEL_EXPORTER_OTLP") for name in env):
            environments.append((env, f"pid {one.pid}", one.cwd))
    for service in services:
        if service.members or service.exporter:
            environments.append((service.env, service.title, None))
    for env, who, cwd in environments:
        made = destination_of(env, who)
        if made is not None:
            if made.certificate and cwd:
                made = replace(made, certificate=str(cwd / made.certificate))
            found.setdefault(made.key, made)
    chosen = named != Servers().gateway or not seen
    if chosen and not any(to.url.startswith(f"{named}/") for to in found.values()):
        made = destination_of(
            {**environ, "OTEL_EXPORTER_OTLP_ENDPOINT": named}, "the doctor's settings"
        )
        if made is not None:
            found[made.url, ""] = made
    return list(found.values())


def destination_of(env: Mapping[str, str], who: str) -> Destination | None:
    """Where an application with `env` pushes its metrics to; None where it pushes none."""
    try:
        if not any(name.startswith("otlp") for name in exporter_names(env)):
            return None
    except ExporterError:
        return None
    whole = env.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "").strip()
    base = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or DEFAULT_ENDPOINT
    url = whole or f"{base.rstrip('/')}{PATH}"
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or not _is_address(url):
        return None
    certificate = env.get("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE") or env.get(
        "OTEL_EXPORTER_OTLP_CERTIFICATE", ""
    )
    preference = env.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    return Destination(
        url, who, _headers(env), certificate, env,
        grpc=protocol(env) == "grpc", delta=preference in ("delta", "lowmemory"),
    )  # fmt: skip


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _headers(env: Mapping[str, str]) -> dict[str, str]:
    text = env.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or env.get(
        "OTEL_EXPORTER_OTLP_HEADERS", ""
    )
    pairs = (part.partition("=") for part in text.split(","))
    found = {k.strip().lower(): unquote(v.strip()) for k, e, v in pairs if e and k.strip()}
    return {k: v for k, v in found.items() if k.isascii() and v.isascii() and " " not in k}
