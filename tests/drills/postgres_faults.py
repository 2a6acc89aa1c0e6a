"""What can be wrong with a PostgreSQL, done by somebody beside the application."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import psycopg2
from stand import Stand

TICKET = {"problem": "it does not work"}


def open_ticket(client: httpx.Client) -> None:
    client.post("/api/tickets", json=TICKET)


@contextmanager
def connected(stand: Stand, database: str = "postgres") -> Iterator[Any]:
    """A cursor of our own, which commits each statement."""
    server = stand.deployment.postgres.dsn
    with closing(psycopg2.connect(server, dbname=database)) as connection:
        connection.autocommit = True
        yield connection.cursor()


@contextmanager
def renamed(stand: Stand, table: str) -> Iterator[None]:
    """A migration took a table away: whatever uses it fails."""
    with connected(stand) as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_moved")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE {table}_moved RENAME TO {table}")


@contextmanager
def locked(stand: Stand, table: str) -> Iterator[None]:
    """Somebody locked a table and forgot it: whatever uses it waits."""
    with connected(stand) as cursor:
        cursor.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        try:
            yield
        finally:
            cursor.execute("COMMIT")


@contextmanager
def locked_now_and_then(
    stand: Stand, table: str, seconds: float, free: float = 0.05
) -> Iterator[None]:
    """A batch locks a table again and again: whatever uses it waits for up to `seconds`."""
    with connected(stand) as cursor:

        def lock() -> None:
            cursor.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)
            cursor.execute("COMMIT")

        with repeated(lock, every=free):
            yield


@contextmanager
def repeated(deed: Callable[[], object], every: float) -> Iterator[None]:
    """`deed` again and again, with so many seconds between."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            deed()
            over.wait(every)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
