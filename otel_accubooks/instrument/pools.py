"""Connection pools of whatever library: how long a checkout takes, and what is checked out.

The pools of a process that lead to one database are one series, under the database's name. A pool
without a limit (`most` is None) adds nothing to the largest size and has no share: of a database
that has no other pool there is no such series.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from time import perf_counter
from typing import Any
from weakref import ref

from otel_accubooks.contract.metrics import (
    DB_ACTIVE_CONNECTIONS,
    DB_CONNECTION_WAIT_TIME_MS,
    DB_POOL_MAX_CONNECTIONS,
    DB_POOL_MIN_CONNECTIONS,
    DB_POOL_UTILIZATION_PERCENT,
    UNKNOWN,
)
from otel_accubooks.contract.unsent import (
    DB_POOL_CONNECTION_TIMEOUT_MS,
    DB_POOL_IDLE_TIMEOUT_MS,
    DB_POOL_OPEN_CONNECTIONS,
    DB_POOL_WAITING,
)
from otel_accubooks.instrument.database_errors import errors
from otel_accubooks.instrument.faults import FAULTS
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Wrapper
from otel_accubooks.instrument.polling import polls
from otel_accubooks.recorder.process import recorder

REFRESH_SECONDS = 5.0

Method = Callable[..., Any]

# Connections that are checked out, those that are open and not checked out, and how many it may open
# (None: as many as it is asked for).
State = tuple[int, int, int | None]


class Watched(ABC):
    """One pool, held weakly, and how its library says what the gauges need."""

    ignored = False  # True of a pool whose connections another pool counts

    def __init__(self, pool: Any) -> None:
        self.reference = ref(pool)
        self.database: Database | None = None
        self.waiting: set[object] = set()

    @abstractmethod
    def state(self, pool: Any) -> State | None:
        """What it is now; None from when it gives no connections any more."""

    @abstractmethod
    def least(self, pool: Any) -> int:
        """Connections that it keeps open."""

    @abstractmethod
    def name(self, pool: Any, connection: Any) -> str | None:
        """The database's name, perhaps by a connection that was checked out; None: not known yet."""

    @abstractmethod
    def error_of(self, pool: Any, error: BaseException) -> str | None:
        """Which of CONNECTION_ERRORS a checkout ended with; None: none, or the driver tells it."""

    def taken(self, connection: Any) -> None:  # noqa: B027
        """Told of each connection that was checked out."""

    def returned(self, connection: Any) -> None:  # noqa: B027
        """Told of each connection that is about to come back."""

    def idle_timeout(self, pool: Any) -> float | None:  # noqa: ARG002
        """Seconds after which it closes an idle connection; None: it never does."""
        return None

    def connection_timeout(self, pool: Any) -> float | None:  # noqa: ARG002
        """Seconds that a checkout waits at most; None: no limit."""
        return None


class Counted(Watched):
    """A pool that does not say what is checked out: each connection is noted."""

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self.out: set[int] = set()  # by id

    def taken(self, connection: Any) -> None:
        self.out.add(id(connection))

    def returned(self, connection: Any) -> None:
        self.out.discard(id(connection))


Kind = Callable[[Any], Watched]


class Database:
    """The pools of this process that lead to one database, under its name."""

    def __init__(self, name: str) -> None:
        self._active = recorder.gauge(DB_ACTIVE_CONNECTIONS).labels(name)
        self._utilization = recorder.gauge(DB_POOL_UTILIZATION_PERCENT).labels(name)
        self._most = recorder.gauge(DB_POOL_MAX_CONNECTIONS).labels(name)
        self._least = recorder.gauge(DB_POOL_MIN_CONNECTIONS).labels(name)
        self._open = recorder.gauge(DB_POOL_OPEN_CONNECTIONS).labels(name)
        self._waiting = recorder.gauge(DB_POOL_WAITING).labels(name)
        self._idle_timeout = recorder.gauge(DB_POOL_IDLE_TIMEOUT_MS).labels(name)
        self._connection_timeout = recorder.gauge(DB_POOL_CONNECTION_TIMEOUT_MS).labels(name)
        self.wait = recorder.histogram(DB_CONNECTION_WAIT_TIME_MS).labels(name)
        self._watched: list[Watched] = []
        self._limited = False
        self._opened: int | None = None

    def add(self, watched: Watched) -> None:
        """Counts a pool in, until it is closed or gone."""
        self._watched.append(watched)
        self.show()

    def show(self) -> None:
        """Sets all gauges."""
        pools = self._pools()
        limits = [state[2] for each, pool in pools if (state := each.state(pool)) and state[2]]
        self._limited = self._limited or bool(limits)
        if self._limited:
            self._most.set(sum(limits))
        self._least.set(sum(each.least(pool) for each, pool in pools))
        for series, seconds in (
            (self._idle_timeout, [each.idle_timeout(pool) for each, pool in pools]),
            (self._connection_timeout, [each.connection_timeout(pool) for each, pool in pools]),
        ):
            if known := [each for each in seconds if each is not None]:
                series.set(1000.0 * max(known))
        self._opened = None  # as after a fork: to be set again
        self.waits()
        self.moved()

    def moved(self) -> None:
        """Sets the gauges that each checkout and each return change.

        No lock: whoever sets last reads again, so what stands in the end is what is.
        """
        shown = None
        while shown != (shown := self._read()):
            used, idle, share = shown
            self._active.set(used)
            if self._limited:
                self._utilization.set(share)
            if self._opened != used + idle:
                self._opened = used + idle
                self._open.set(used + idle)

    def waits(self) -> None:
        """Sets the gauge of those who wait for a connection."""
        shown = None
        while shown != (shown := sum(len(each.waiting) for each in self._watched)):
            self._waiting.set(shown)

    def _read(self) -> tuple[int, int, float]:
        """Connections that are out, those that are idle, and the highest share of a pool."""
        watched = self._watched[:]
        if len(watched) == 1 and (pool := watched[0].reference()) is not None:
            state = watched[0].state(pool)
            if state is not None:
                used, idle, most = state
                return used, idle, 100.0 * used / most if most else 0.0
        states = [
            None if (pool := each.reference()) is None else each.state(pool) for each in watched
        ]
        if None in states:
            self._forget()
        known = [state for state in states if state is not None]
        return (
            sum(used for used, _, _ in known),
            sum(idle for _, idle, _ in known),
            max((100.0 * used / most for used, _, most in known if most), default=0.0),
        )

    def _pools(self) -> list[tuple[Watched, Any]]:
        found = [(each, each.reference()) for each in tuple(self._watched)]
        return [(each, pool) for each, pool in found if pool is not None and each.state(pool)]

    def _forget(self) -> None:
        kept = [each for each, _ in self._pools()]
        for each in tuple(self._watched):
            if each not in kept:
                try:
                    self._watched.remove(each)
                except ValueError:
                    pass  # another thread was first
        self.show()


class Pools:
    """All pools of this process."""

    def __init__(self) -> None:
        self._databases: dict[str, Database] = {}
        # By id, each with a reference that tells whether the id is still this pool's.
        self._known: dict[int, Watched] = {}
        self._kept_fresh = False

    def watched(self, pool: Any, kind: Kind) -> Watched:
        """What is known of a pool, from the first time on."""
        known = self._known.get(id(pool))
        if known is None or known.reference() is not pool:
            self._known = {
                key: found for key, found in self._known.items() if found.reference() is not None
            }
            known = self._known[id(pool)] = kind(pool)
        return known

    def changed(self, pool: Any, kind: Kind) -> None:
        """Told after a pool's connections moved. Never raises."""
        try:
            self._moved(self.watched(pool, kind), pool, None)
        except FAULTS:
            failed("recording a pool")

    def resized(self, pool: Any, kind: Kind) -> None:
        """Told after a pool was opened, closed, or got another size. Never raises."""
        try:
            self._moved(self.watched(pool, kind), pool, None).show()
        except FAULTS:
            failed("recording a pool")

    def returns(self, pool: Any, kind: Kind, connection: Any) -> None:
        """Told before a connection is given back, after which another may have it. Never raises."""
        try:
            self.watched(pool, kind).returned(connection)
        except FAULTS:
            failed("recording a return")

    def begins(self, pool: Any, kind: Kind) -> object | None:
        """Told before a checkout; a token where others must return theirs first. Never raises."""
        try:
            watched = self.watched(pool, kind)
            state = watched.state(pool)
            if state is None or state[2] is None or state[0] < state[2]:
                return None
            token = object()
            watched.waiting.add(token)
            if watched.database is not None:
                watched.database.waits()
            return token
        except FAULTS:
            failed("recording a checkout")
            return None

    def ended(
        self, pool: Any, kind: Kind, began: float, token: object | None, outcome: Any
    ) -> None:
        """Told after a checkout that began at `began`, with its connection or exception.

        Never raises.
        """
        elapsed = (perf_counter() - began) * 1000.0
        try:
            watched = self.watched(pool, kind)
            error = outcome if isinstance(outcome, BaseException) else None
            if error is None:
                watched.taken(outcome)
            if token is not None:
                watched.waiting.discard(token)
                if watched.database is not None:
                    watched.database.waits()
            database = self._moved(watched, pool, None if error is not None else outcome)
            if watched.ignored:
                return
            database.wait.record(elapsed)
            if error is not None and (kind_of_error := watched.error_of(pool, error)) is not None:
                errors.labels(kind_of_error).add()
        except FAULTS:
            failed("recording a checkout")

    def show_all(self) -> None:
        """Sets the gauges anew: in a forked child, and for pools that were garbage."""
        for database in list(self._databases.values()):
            database.show()

    def keep_fresh(self) -> None:
        """Shows all again and again from now on."""
        if not self._kept_fresh:
            self._kept_fresh = True
            polls.add_everywhere("refreshing the pools", self.show_all, REFRESH_SECONDS)
            recorder.on_open(self.show_all)

    def _moved(self, watched: Watched, pool: Any, connection: Any) -> Database:
        database = watched.database
        if database is not None:
            database.moved()
            return database
        name = watched.name(pool, connection)
        database = self._databases.get(name or UNKNOWN)
        if database is None:
            database = self._databases.setdefault(name or UNKNOWN, Database(name or UNKNOWN))
        if name is not None and watched.state(pool) is not None:
            watched.database = database
            database.add(watched)
        return database


pools = Pools()


def measured_checkout(kind: Kind) -> Wrapper:
    """For the method of a pool that gives a connection."""

    def wrapper(original: Method) -> Method:
        def checkout(self: Any, *args: Any, **kwargs: Any) -> Any:
            token = pools.begins(self, kind)
            began = perf_counter()
            try:
                connection = original(self, *args, **kwargs)
            except BaseException as error:
                pools.ended(self, kind, began, token, error)
                raise
            pools.ended(self, kind, began, token, connection)
            return connection

        return checkout

    return wrapper


def measured_async_checkout(kind: Kind) -> Wrapper:
    """The same for a coroutine function."""

    def wrapper(original: Method) -> Method:
        async def checkout(self: Any, *args: Any, **kwargs: Any) -> Any:
            token = pools.begins(self, kind)
            began = perf_counter()
            try:
                connection = await original(self, *args, **kwargs)
            except BaseException as error:
                pools.ended(self, kind, began, token, error)
                raise
            pools.ended(self, kind, began, token, connection)
            return connection

        return checkout

    return wrapper


def watched_return(kind: Kind) -> Wrapper:
    """For the method of a pool that takes a connection back."""

    def wrapper(original: Method) -> Method:
        def give_back(self: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
            pools.returns(self, kind, connection)
            try:
                return original(self, connection, *args, **kwargs)
            finally:
                pools.changed(self, kind)

        return give_back

    return wrapper


def watched_async_return(kind: Kind) -> Wrapper:
    """The same for a coroutine function."""

    def wrapper(original: Method) -> Method:
        async def give_back(self: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
            pools.returns(self, kind, connection)
            try:
                return await original(self, connection, *args, **kwargs)
            finally:
                pools.changed(self, kind)

        return give_back

    return wrapper


def watched_change(kind: Kind) -> Wrapper:
    """For a method of a pool that moves its connections."""

    def wrapper(original: Method) -> Method:
        def change(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self, *args, **kwargs)
            finally:
                pools.changed(self, kind)

        return change

    return wrapper
