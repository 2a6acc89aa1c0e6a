"""The databases that this process uses: do they answer, and connections of our own to them.

Connection strings are kept in the memory of this process, and nowhere else.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import Any
from weakref import WeakSet

from otel_accubooks.instrument.database_errors import error_type
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.polling import polls

LIMIT_SECONDS = 2.0
MAX_DATABASES = 8  # an application with a database for each tenant is judged by a few of them
UNUSED_SECONDS = 600.0
LOOK_SECONDS = 30.0
REMEMBERED_STRINGS = 64

# Takes seconds; gives a new connection with the DB-API's `cursor()` and `close()`, cursors with
# `execute(sql)`, `description`, `fetchone()` and `fetchall()`. It reads only, is never measured, and
# raises whatever its driver raises, or TimeoutError when the seconds have passed since it was asked
# for. To be closed soon, and not to be used in a request.
Connect = Callable[[float], Any]
Target = tuple[str, Connect]

# What each driver that the application has imported makes of an address; raises the driver's error.
readers: list[Callable[[str], Target | None]] = []


class _Database:
    def __init__(self, name: str) -> None:
        self.name = name
        self.connect: Connect
        self.used_at = monotonic()
        self.alive: WeakSet[Any] = WeakSet()

    def ask(self) -> None:
        """Connects, asks for 1, and leaves, all within LIMIT_SECONDS; raises where that fails."""
        try:
            connection = self.connect(LIMIT_SECONDS)
            try:
                connection.cursor().execute("SELECT 1")
            finally:
                connection.close()
        except Exception as error:
            # A password that ended since says nothing about the server.
            if error_type(error) != "authentication":
                raise

    def in_use(self) -> bool:
        return bool(self.alive) or monotonic() - self.used_at < UNUSED_SECONDS


class Databases:
    """Each database by a name without user or password, such as "database 10.0.0.1:5432/books"."""

    def __init__(self) -> None:
        self._known: dict[str, _Database] = {}

    def used(self, name: str, connect: Connect, connection: Any = None) -> None:
        """Told of each connection made, and of each that the server did not give (None).

        From now on the database is asked whether it answers, until nothing here has used it for
        UNUSED_SECONDS. The newest `connect` is taken: passwords may be renewed.
        """
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= MAX_DATABASES and not self._make_room():
                return
            polls.add_everywhere("looking for unused databases", self.look, LOOK_SECONDS)
            known = self._known.setdefault(name, _Database(name))
        known.connect = connect
        known.used_at = monotonic()
        try:
            if connection is not None:
                known.alive.add(connection)
        except TypeError:
            pass  # a class of the application's, which takes no weak references
        polls.add(name, known.ask, "database")

    def known(self) -> list[Target]:
        """Name and connect of each, in the order of first use."""
        return [(each.name, each.connect) for each in tuple(self._known.values())]

    def look(self) -> None:
        """Stops asking what is not used any longer."""
        for each in tuple(self._known.values()):
            if each.in_use():
                polls.add(each.name, each.ask, "database")
            else:
                polls.forget(each.name)

    def _make_room(self) -> bool:
        for each in tuple(self._known.values()):
            if not each.in_use():
                polls.forget(each.name)
                self._known.pop(each.name, None)
                return True
        return False


databases = Databases()


class Strings:
    """Which connection string of a driver leads to which database."""

    def __init__(self, read: Callable[[Any], Target | None]) -> None:
        """`read` tells it, or None where it is no ordinary one; it may raise the driver's error."""
        self._read = read
        self._seen: dict[Any, Target | None] = {}

    def used(self, given: Any, connection: Any = None) -> None:
        """Told of each connection, and of each that the server did not give (None). Never raises."""
        try:
            if given not in self._seen:
                if len(self._seen) >= REMEMBERED_STRINGS:
                    self._seen.clear()
                self._seen[given] = self._read(given)
            if (found := self._seen[given]) is not None:
                databases.used(*found, connection)
        except Exception:
            failed("watching a database")


def wait_for(descriptor: int, events: int, deadline: float) -> int:
    """Waits for `events` of select.poll, and returns those that came; raises TimeoutError."""
    waiting = select.poll()
    waiting.register(descriptor, events)
    found = waiting.poll(max(0.0, deadline - monotonic()) * 1000)
    if not found:
        raise TimeoutError("the database has not answered in time")
    return found[0][1]


def known_databases() -> list[Target]:
    """Name and `connect` of each database that this process has used, the first used first.

    Empty until the application has connected. See `Connect` for what it takes and gives.
    """
    return databases.known()
