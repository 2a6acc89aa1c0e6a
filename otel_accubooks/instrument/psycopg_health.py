"""psycopg 3: connections of our own to the databases that the application uses."""

from __future__ import annotations

import select
from time import monotonic
from typing import Any

from otel_accubooks.instrument.databases import Strings, Target, readers, wait_for
from otel_accubooks.instrument.libpq import target_name

_READ, _WRITE = 1, 2  # psycopg.waiting.Wait and Ready


def connection_strings(module: Any) -> Strings:
    """To be told of each (conninfo, (keyword, value), ...); `module` is psycopg, not yet measured."""
    limited = _limited_connection(module)

    def read(given: tuple[Any, ...]) -> Target | None:
        conninfo, *keywords = given
        parameters = module.conninfo.conninfo_to_dict(conninfo, **dict(keywords))
        if "replication" in parameters:
            return None
        text = module.conninfo.make_conninfo("", **parameters)
        return (
            target_name({name: str(value) for name, value in parameters.items()}),
            lambda seconds: limited.limited(text, seconds),
        )

    readers.append(lambda address: read((address,)))
    return Strings(read)


def _limited_connection(module: Any) -> Any:
    """A connection that reads only, with one time limit for everything. The server is told it, too."""
    cursor: Any = module.Cursor
    connection: Any = module.Connection

    class OwnCursor(cursor):  # type: ignore[misc]
        __slots__ = ()
        execute = cursor.execute  # as it was, before it was measured

    class LimitedConnection(connection):  # type: ignore[misc]
        deadline: float

        @classmethod
        def limited(cls, conninfo: str, seconds: float) -> Any:
            deadline = monotonic() + seconds
            made = cls(_connected(module, conninfo, deadline))
            made.deadline = deadline
            made.cursor_factory = OwnCursor
            made.prepare_threshold = None  # a connection pooler may not know it the next time
            made.read_only = True
            try:
                milliseconds = max(1, round(seconds * 1000))
                made.cursor().execute(f"SET LOCAL statement_timeout = {milliseconds}")
            except BaseException:
                made.close()
                raise
            return made

        def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
            try:
                wanted = next(gen)
                while True:
                    wanted = gen.send(_ready(self.pgconn.socket, wanted, self.deadline))
            except StopIteration as done:
                return done.value

    return LimitedConnection


def _connected(module: Any, conninfo: str, deadline: float) -> Any:
    status = module.pq.PollingStatus
    pgconn = module.pq.PGconn.connect_start(conninfo.encode())
    try:
        while (state := pgconn.connect_poll()) != status.OK:
            if state == status.FAILED:
                raise module.OperationalError(pgconn.error_message.decode("utf-8", "replace"))
            _ready(pgconn.socket, _READ if state == status.READING else _WRITE, deadline)
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1
    return pgconn


def _ready(descriptor: int, wanted: int, deadline: float) -> int:
    events = (select.POLLIN if wanted & _READ else 0) | (select.POLLOUT if wanted & _WRITE else 0)
    found = wait_for(descriptor, events, deadline)
    ready = (_READ if found & ~select.POLLOUT else 0) | (_WRITE if found & ~select.POLLIN else 0)
    return ready & wanted
