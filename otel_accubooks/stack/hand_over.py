"""What was started here, in files that the other commands take: addresses, and keys of stand-ins."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses

ADDRESSES, ENVIRONMENT = "alerting.toml", "environment"


def write(folder: Path, to: Addresses, servers: Servers, environment: Mapping[str, str]) -> str:
    """Writes both files to `folder`; the command of a shell that checks what they name.

    `environment` has the keys that stand-ins want to see. They are worth nothing elsewhere.
    """
    (folder / ADDRESSES).write_text(addresses_file(to, servers), "utf-8")
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
    opened = os.open(folder / ENVIRONMENT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(opened, "w", encoding="utf-8") as file:
        file.writelines(lines)
    return f". {folder / ENVIRONMENT}; otel-accubooks verify --addresses {folder / ADDRESSES}"


def addresses_file(to: Addresses, servers: Servers) -> str:
    """The file of addresses that says this."""
    import tomli_w

    return tomli_w.dumps({**_told(to), "servers": _told(servers)})


def _told(settings: Addresses | Servers) -> dict[str, Any]:
    told = asdict(settings)
    return {name: value for name, value in told.items() if value or isinstance(value, bool)}
