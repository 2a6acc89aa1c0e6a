"""psycopg2: whether the databases that this process uses answer, asked in the background."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from time import monotonic
from typing import Any

from otel_accubooks.instrument.faults import FAULTS
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.polling import polls
from otel_accubooks.instrument.psycopg2_errors import error_type

LIMIT_SECONDS = 2.0
MAX_TARGETS = 8  # an application with a database for each tenant is judged by the first few
_REMEMBERED = 64


class Targets:
    """The databases to ask. Connection strings are kept in this memory, and nowhere else."""

    def __init__(self, module: Any, connect: Callable[..., Any]) -> None:
        """`connect` is the driver's own function, so that asking is not measured."""
        self._parse_dsn = module.extensions.parse_dsn
        self._error = module.OperationalError
        self._connect = connect
        self._seen: dict[str, None] = {}
        self._dsns: dict[str, str] = {}

    def used(self, dsn: object) -> None:
        """Told of each connection; a database that is new is asked from now on. Never raises."""
        try:
            if dsn not in self._seen:
                self._add(str(dsn))
        except (*FAULTS, self._error):
            failed("watching a database")

    def _add(self, dsn: str) -> None:
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[dsn] = None
        parameters = self._parse_dsn(dsn)
        name = target_name(parameters)
        if "replication" in parameters or (
            name not in self._dsns and len(self._dsns) >= MAX_TARGETS
        ):
            return
        self._dsns[name] = dsn  # the newest one: passwords may be renewed
        polls.add(name, lambda: self._ask(name), "database")

    def _ask(self, name: str) -> None:
        """Connects, asks for 1, and leaves, all within LIMIT_SECONDS; raises where that fails.

        An asynchronous connection, since it has one time limit for everything, needs no option that
        a connection pooler might refuse, and is no business of the application's wait callback.
        """
        deadline = monotonic() + LIMIT_SECONDS
        try:
            connection = self._connect(self._dsns[name], async_=1)
            try:
                _wait(connection, deadline)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                    _wait(connection, deadline)
            finally:
                connection.close()
        except self._error as error:
            # A password that ended since says nothing about the server.
            if error_type(error) != "authentication":
                raise


def _wait(connection: Any, deadline: float) -> None:
    from psycopg2.extensions import POLL_OK, POLL_READ

    while (state := connection.poll()) != POLL_OK:
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer within {LIMIT_SECONDS:g} s")
        ready = select.poll()
        ready.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        ready.poll(left * 1000)


def target_name(parameters: dict[str, str]) -> str:
    """What tells databases apart, from parsed connection parameters: no user, no password."""
    service = parameters.get("service")
    if service:
        return f"database service {service}"
    host = parameters.get("host") or parameters.get("hostaddr") or os.environ.get("PGHOST")
    port = parameters.get("port") or os.environ.get("PGPORT") or "5432"
    return f"database {host or 'local'}:{port}/{database_name(parameters) or ''}"


def database_name(parameters: dict[str, str]) -> str | None:
    """The database's name, as libpq finds it; None where only the server knows it."""
    user = parameters.get("user") or os.environ.get("PGUSER")
    name = parameters.get("dbname") or os.environ.get("PGDATABASE") or user
    # A whole connection string in the wrong place may hold a password.
    return None if name is None or "=" in name or "://" in name else name
