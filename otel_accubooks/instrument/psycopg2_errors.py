"""psycopg2: why a connection could not be had, or was lost."""

from __future__ import annotations

from otel_accubooks.contract.metrics import CONNECTION_ERRORS, DB_CONNECTION_ERRORS_TOTAL
from otel_accubooks.recorder.process import recorder

OTHER = CONNECTION_ERRORS[-1]

errors = recorder.counter(DB_CONNECTION_ERRORS_TOTAL)

# SQLSTATE by its beginning (PostgreSQL manual, appendix A).
_STATES = (
    ("53300", "too_many_connections"),
    ("28", "authentication"),
    ("57P03", "refused"),
    ("57P", "connection_lost"),
    ("08", "connection_lost"),
)
# Of an attempt that failed there is only text: libpq's own, the server's, or pgbouncer's.
_SIGNS = (
    (
        "too_many_connections",
        ("too many clients", "too many connections", "connection slots", "no more connections"),
    ),
    (
        "authentication",
        ("authentication", "no password supplied", "pg_hba.conf", "permitted to log in", 'role "'),
    ),
    ("dns", ("could not translate host name", "name resolution", "Name or service not known")),
    ("timeout", ("timeout expired", "timed out")),
    (
        "refused",
        ("Connection refused", "running locally", "starting up", "shutting down", "recovery mode"),
    ),
    ("connection_lost", ("closed the connection", "Connection reset", "terminating connection")),
)


def error_type(error: BaseException) -> str:
    """Which of CONNECTION_ERRORS a failed attempt to connect is."""
    state = getattr(error, "pgcode", None)
    if state:
        return next((name for start, name in _STATES if state.startswith(start)), OTHER)
    text = str(error)
    return next((name for name, signs in _SIGNS if any(sign in text for sign in signs)), OTHER)
