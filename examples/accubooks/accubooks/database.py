"""PostgreSQL through a pool of connections; one transaction for each `with`."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from psycopg2.extras import RealDictCursor
from psycopg2.pool import ThreadedConnectionPool


class Database:
    def __init__(self, url: str, pool_min: int = 1, pool_max: int = 2) -> None:
        self._url = url
        self._sizes = pool_min, pool_max
        self._pool: ThreadedConnectionPool | None = None
        self._lock = Lock()

    def _open_pool(self) -> ThreadedConnectionPool:
        # Opened at first use: two gunicorn workers must never share a connection over a fork.
        with self._lock:
            if self._pool is None:
                self._pool = ThreadedConnectionPool(*self._sizes, dsn=self._url)
            return self._pool

    @contextmanager
    def transaction(self, name: str | None = None) -> Iterator[Any]:
        """A cursor whose rows are dicts; commits at the end, rolls back when an exception passes.

        With a name it is a server-side cursor, which fetches a large answer piece by piece.
        """
        pool = self._open_pool()
        connection = pool.getconn()
        try:
            with connection, connection.cursor(name, cursor_factory=RealDictCursor) as cursor:
                yield cursor
        finally:
            pool.putconn(connection)

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.closeall()
                self._pool = None
