"""Which exporters the environment names, and where their classes are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import entry_points
from typing import Any

from otel_accubooks.export.settings import OTLP_BY_PROTOCOL

DEFAULT_EXPORTERS = "otlp"


class ExporterError(Exception):
    """An exporter that cannot be had; the text says what was found and what to do."""


def exporter_names(env: Mapping[str, str], signal: str = "METRICS") -> list[str]:
    """What OTEL_<signal>_EXPORTER asks for; `otlp` as the name for its protocol's entry point.

    Metrics go by OTLP where nothing is said. Raises ExporterError for a protocol that is unknown.
    """
    default = DEFAULT_EXPORTERS if signal == "METRICS" else ""
    names = (env.get(f"OTEL_{signal}_EXPORTER") or default).split(",")
    variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
    if env.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"):
        variable = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"
    protocol = (env.get(variable) or "http/protobuf").strip()
    resolved = []
    for name in dict.fromkeys(name.strip() for name in names):
        if name == "otlp" and protocol not in OTLP_BY_PROTOCOL:
            raise ExporterError(
                f"{variable} is {protocol!r}, expected one of {', '.join(OTLP_BY_PROTOCOL)}"
            )
        if name not in ("", "none"):
            resolved.append(OTLP_BY_PROTOCOL[protocol] if name == "otlp" else name)
    return resolved


def push_exporter_names(env: Mapping[str, str]) -> list[str]:
    """Those of `exporter_names` that are pushed to, not scraped."""
    return [name for name in exporter_names(env) if name != "prometheus"]


def load_exporter(name: str, signal: str = "metrics") -> Any:
    """The class behind the name of an `opentelemetry_<signal>_exporter`. Raises ExporterError."""
    installed = entry_points(group=f"opentelemetry_{signal}_exporter")
    for found in installed.select(name=name):
        return found.load()
    raise ExporterError(
        f"OTEL_{signal.upper()}_EXPORTER names {name!r}, which is not installed: "
        f"{missing(name, installed.names)}"
    )


def missing(name: str, installed: Iterable[str]) -> str:
    """What to do where the exporter `name` is not among those `installed`."""
    if name in OTLP_BY_PROTOCOL.values():
        return f"pip install opentelemetry-exporter-{name.replace('_', '-')}"
    # Whoever owns a package of another name is unknown.
    return f"expected otlp or one of {', '.join(sorted(installed))}"


def exporter_maker(name: str, signal: str = "metrics") -> Callable[[], Any]:
    """What makes that exporter; answers to it are read within limits. Raises ExporterError."""
    kind = load_exporter(name, signal)
    if name != "otlp_proto_http":
        return partial(kind)
    from otel_accubooks.export.answer import answering_session

    return lambda: kind(session=answering_session())
