"""psycopg2: connections of our own to the databases that the application uses."""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import Any

from otel_accubooks.instrument.databases import Strings, Target, readers, wait_for
from otel_accubooks.instrument.libpq import target_name


def connection_strings(module: Any, connect: Callable[..., Any]) -> Strings:
    """To be told of each DSN. `connect` is the driver's own, so that our connections are not measured."""

    def read(dsn: str) -> Target | None:
        parameters = module.extensions.parse_dsn(dsn)
        if "replication" in parameters:
            return None
        return target_name(parameters), lambda seconds: LimitedConnection(connect, dsn, seconds)

    readers.append(read)
    return Strings(read)


class LimitedConnection:
    """A connection that reads only, with one time limit for everything.

    Asynchronous, since then the limit holds however the server hangs, and since it is no business of
    the application's wait callback. The server is told the limit too, in a transaction and not by an
    option, which a connection pooler might refuse.
    """

    def __init__(self, connect: Callable[..., Any], dsn: str, seconds: float) -> None:
        self._deadline = monotonic() + seconds
        self._connection = connect(dsn, async_=1)
        try:
            self.wait()
            self.cursor().execute(
                f"BEGIN READ ONLY; SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}"
            )
        except BaseException:
            self.close()
            raise

    def cursor(self) -> LimitedCursor:
        """A cursor of this connection."""
        return LimitedCursor(self, self._connection.cursor())

    def close(self) -> None:
        """Ends the connection, and with it the transaction."""
        self._connection.close()

    def wait(self) -> None:
        """Returns when the server has answered; raises TimeoutError, or what the driver raises."""
        from psycopg2.extensions import POLL_OK, POLL_READ

        connection = self._connection
        while (state := connection.poll()) != POLL_OK:
            events = select.POLLIN if state == POLL_READ else select.POLLOUT
            wait_for(connection.fileno(), events, self._deadline)


class LimitedCursor:
    """A cursor of a LimitedConnection, with the DB-API's names."""

    def __init__(self, connection: LimitedConnection, cursor: Any) -> None:
        self._connection = connection
        self._cursor = cursor
        self.fetchone, self.fetchall = cursor.fetchone, cursor.fetchall

    @property
    def description(self) -> Any:
        return self._cursor.description

    def execute(self, query: str) -> None:
        """Sends a query and waits for all of its result."""
        self._cursor.execute(query)
        self._connection.wait()
