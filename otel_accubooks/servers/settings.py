"""Where the servers of a deployment are: flags, environment, and the table [servers] of alerting.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from otel_accubooks.vendors.addresses import line_of, read_toml

_HTTP = ("http://", "https://")
_LONGEST_HOST = 253
_SHOWN_CHARACTERS = 60


def _server(variable: str, about: str, default: Any = "", schemes: tuple[str, ...] = _HTTP) -> Any:
    """One setting: its variable, its help, what it is where nobody says, and how it may begin."""
    return field(
        default=default, metadata={"variable": variable, "help": about, "schemes": schemes}
    )


@dataclass(frozen=True)
class Servers:
    """Addresses of servers, as they are reached from where one asks; "" for what is not there.

    Secrets are not among them: they come from the environment, where they are needed.
    """

    service: str = _server("OTEL_SERVICE_NAME", "The service, as it names itself.", schemes=("",))
    prometheus: str = _server("PROMETHEUS_URL", "Prometheus.", "http://127.0.0.1:9090")
    standby: str = _server("PROMETHEUS_STANDBY_URL", "The standby: a second Prometheus.")
    alertmanager: tuple[str, ...] = _server(
        "ALERTMANAGER_URL",
        "Alertmanager; both of a pair with a comma between.",
        ("http://127.0.0.1:9093",),
    )
    grafana: str = _server("GRAFANA_URL", "Grafana, where the dashboards are there.")
    viewer: str = _server("VIEWER_URL", "The built-in viewer, where the dashboards are there.")
    public: str = _server(
        "VIEWER_PUBLIC_URL", "Where everybody sees the executive dashboard, and no other."
    )
    gateway: str = _server(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "The gateway, OTLP over HTTP.", "http://127.0.0.1:4318"
    )
    slack_api: str = _server("SLACK_API_URL", "Slack's Web API.", "https://slack.com/api")
    phone_api: str = _server(
        "PHONE_API_URL", "The API of the phone's vendor, where it is not the vendor's own."
    )
    mailbox: str = _server(
        "MAILBOX_URL",
        "The on-call mailbox, imaps://user@host:port.",
        schemes=("imaps://", "imap://"),
    )


def settings() -> tuple[Field[Any], ...]:
    """The fields of `Servers`; their metadata has `variable`, `help` and `schemes`."""
    return fields(Servers)


def servers(
    path: Path | None, flags: Mapping[str, str | None], environ: Mapping[str, str] = os.environ
) -> Servers:
    """What `flags` say, else the environment, else the file's table [servers], else the default.

    Raises ValueError with one line on what is wrong.
    """
    text, table = _table(path) if path is not None and path.exists() else ("", {})
    chosen: dict[str, Any] = {}
    for one in settings():
        variable = one.metadata["variable"]
        if flag := flags.get(one.name):
            chosen[one.name] = _read(f"--{one.name.replace('_', '-')}", flag, one)
        elif environ.get(variable):
            chosen[one.name] = _read(variable, environ[variable], one)
        elif one.name in table:
            line = line_of(text, one.name, "servers")
            chosen[one.name] = _read(f"{path}:{line}: servers.{one.name}", table[one.name], one)
    return Servers(**chosen)


def _table(path: Path) -> tuple[str, dict[str, Any]]:
    text, told = read_toml(path)
    table = told.get("servers", {})
    if not isinstance(table, dict):
        line = line_of(text, "servers")
        raise ValueError(f"{path}:{line}: servers = {table!r}: expected a table, [servers]")
    known = [one.name for one in settings()]
    if unknown := sorted(set(table) - set(known)):
        where = f"{path}:{line_of(text, unknown[0], 'servers')}"
        told_unknown = ", ".join(unknown)
        raise ValueError(
            f"{where}: unknown {told_unknown} in [servers]; known are {', '.join(known)}"
        )
    return text, table


def _read(where: str, value: Any, one: Field[Any]) -> Any:
    """The text of a setting, or its texts, where it may have several with commas between."""
    several = isinstance(one.default, tuple)
    texts = value if isinstance(value, list) and several else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{where} is {value!r}: expected {'texts' if several else 'a text'}")
    parts = [part.strip() for text in texts for part in (text.split(",") if several else [text])]
    schemes = one.metadata["schemes"]
    for part in parts:
        if part:
            check_address(where, part, schemes)
    found = tuple(part.rstrip("/") for part in parts if part)
    return found if several else "".join(found)


def check_address(where: str, text: str, schemes: tuple[str, ...] = _HTTP) -> None:
    """Raises ValueError where `text` is no address that begins with one of `schemes`; "" is any text.

    `where` says in the message whose value it is; a password in it is not shown.
    """
    told = text.rpartition("@")[2]
    shown = repr(told if len(told) <= _SHOWN_CHARACTERS else f"{told[:_SHOWN_CHARACTERS]}…")
    if not text.isprintable() or not text.startswith(schemes):
        raise ValueError(f"{where} is {shown}: expected {' or '.join(schemes) or 'a text'}…")
    if schemes == ("",):
        return
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or re.search(r"\s", text) or port == 0 or len(host) > _LONGEST_HOST:
        raise ValueError(f"{where} is {shown}: expected an address such as {schemes[0]}host:9090")
