"""Why a connection to a database could not be had, or was lost."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from otel_accubooks.contract.metrics import CONNECTION_ERRORS, DB_CONNECTION_ERRORS_TOTAL
from otel_accubooks.instrument.guard import failed
from otel_accubooks.recorder.process import recorder

OTHER = CONNECTION_ERRORS[-1]

# What says that the server is not there, whatever the application did to reach it.
DOWN = ("refused", "timeout", "dns", "too_many_connections")

errors = recorder.counter(DB_CONNECTION_ERRORS_TOTAL)

# SQLSTATE by its beginning (PostgreSQL manual, appendix A).
_STATES = (
    ("53300", "too_many_connections"),
    ("28", "authentication"),
    ("57P03", "refused"),
    ("57P", "connection_lost"),
    ("08", "connection_lost"),
)
# Of an attempt that failed there is only text: libpq's, the server's, pgbouncer's, or MySQL's.
_SIGNS = (
    (
        "too_many_connections",
        (
            "too many clients",
            "too many connections",
            "Too many connections",
            "connection slots",
            "no more connections",
        ),
    ),
    (
        "authentication",
        (
            "authentication",
            "no password supplied",
            "pg_hba.conf",
            "permitted to log in",
            'role "',
            "Access denied",
        ),
    ),
    (
        "dns",
        (
            "could not translate host name",
            "name resolution",
            "Name or service not known",
            "No address associated",
        ),
    ),
    ("timeout", ("timeout expired", "timed out")),
    (
        "refused",
        (
            "Connection refused",
            "Connect call failed",
            "Can't connect",
            "Can't create a connection",
            "running locally",
            "starting up",
            "shutting down",
            "recovery mode",
        ),
    ),
    ("connection_lost", ("closed the connection", "Connection reset", "terminating connection")),
)


def error_type(error: BaseException) -> str:
    """Which of CONNECTION_ERRORS a failed attempt to connect is."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state:
        return next((name for start, name in _STATES if state.startswith(start)), OTHER)
    text = str(error)
    return next((name for name, signs in _SIGNS if any(sign in text for sign in signs)), OTHER)


def refusal(error: BaseException) -> str | None:
    """Counts an attempt to connect that failed; which of CONNECTION_ERRORS it is. Never raises."""
    try:
        kind = error_type(error)
        errors.labels(kind).add()
        return kind
    except Exception:
        failed("recording a failed connection")
        return None


class Losses:
    """Connections that the server ended: noticed by the first call that fails on one."""

    def __init__(self, error: type[Exception], sign: str) -> None:
        """`error` is what the driver then raises, `sign` the connection's attribute that tells."""
        self._error = error
        self._sign = sign
        self._counted: WeakSet[Any] = WeakSet()

    def noticed_by(self, cursor: Any, error: BaseException) -> None:
        """As `noticed`, of the connection of a cursor. Never raises."""
        try:
            self.noticed(cursor.connection, error)
        except Exception:
            failed("recording a lost connection")

    def noticed(self, connection: Any, error: BaseException) -> None:
        """Counts, if `error` was raised because `connection` is gone. Never raises."""
        try:
            if (
                isinstance(error, self._error)
                and getattr(connection, self._sign)
                and connection not in self._counted
            ):
                self._counted.add(connection)
                errors.labels("connection_lost").add()
        except Exception:
            failed("recording a lost connection")
