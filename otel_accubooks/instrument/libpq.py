"""What libpq's connection parameters say, for both of its drivers."""

from __future__ import annotations

import os
from collections.abc import Mapping


def target_name(parameters: Mapping[str, str]) -> str:
    """What tells databases apart, from parsed connection parameters: no user, no password."""
    service = parameters.get("service")
    if service:
        return f"database service {service}"
    host = parameters.get("host") or parameters.get("hostaddr") or os.environ.get("PGHOST")
    port = parameters.get("port") or os.environ.get("PGPORT") or "5432"
    return f"database {host or 'local'}:{port}/{database_name(parameters) or ''}"


def database_name(parameters: Mapping[str, str]) -> str | None:
    """The database's name, as libpq finds it; None where only the server knows it."""
    user = parameters.get("user") or os.environ.get("PGUSER")
    name = parameters.get("dbname") or os.environ.get("PGDATABASE") or user
    # A whole connection string in the wrong place may hold a password.
    return None if name is None or "=" in name or "://" in name else name
