"""Connection pools of whatever library: how long a checkout takes, and what is checked out.

The pools of a process that lead to one database are one series, under the database's name. A pool
without a limit (`most` is None) adds nothing to the largest size and has no share: of a database
that has no other pool there is no such series.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sized
from functools import partial
from math import inf
from typing import Any, NamedTuple
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
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.polling import polls
from otel_accubooks.instrument.pool_gauges import Parts
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.series import Histogram

try:
    from otel_accubooks.instrument._pool_gauges import show
except ImportError:  # not built here: docs/platforms.md
    from otel_accubooks.instrument.pool_gauges import show

REFRESH_SECONDS = 5.0

# Connections that are checked out, those that are open and not checked out, and how many it may open
# (None: as many as it is asked for).
State = tuple[int, int, int | None]


class Watched(ABC):
    """One pool, held weakly, and how its library says what the gauges need."""

    ignored = False  # True of a pool whose connections another pool counts
    notes = False  # True of one that is told of each connection

    def __init__(self, pool: Any) -> None:
        self.key = id(pool)
        self.reference = ref(pool, self._gone)
        self.database: Database | None = None
        self.waiting: set[object] = set()
        # Sets the gauges of its database, where all pools that lead there have parts.
        self.show: Callable[[], None] | None = None

    def _gone(self, _: object) -> None:
        try:
            if self.database is not None:
                self.database.slow()
        except Exception:
            failed("letting go of a pool")

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

    def parts_of(self, pool: Any) -> Parts | None:  # noqa: ARG002
        """What `state` is read from, where that stays the same until the pool is resized."""
        return None

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

    notes = True

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self.out: set[int] = set()  # by id

    def taken(self, connection: Any) -> None:
        self.out.add(id(connection))

    def returned(self, connection: Any) -> None:
        self.out.discard(id(connection))


_CLOSED: State = (0, 0, None)


class Quick(NamedTuple):
    """What the everyday checkout needs to know of its pool."""

    reference: ref[Any]
    begun: tuple[Watched, None]
    noted: Callable[[Any], None] | None  # `taken` of a pool that notes its connections
    taken: Sized
    most: float
    show: Callable[[], None]
    wait: Histogram


quick: dict[int, Quick] = {}  # by id of the pool

Kind = Callable[[Any], Watched]
# A checkout that goes on: its pool, and a token where others must return their connections first.
Checkout = tuple[Watched | None, object | None]


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

    def add(self, watched: Watched) -> None:
        """Counts a pool in, until it is closed or gone."""
        self._watched.append(watched)
        self.show()

    def show(self) -> None:
        """Sets all gauges."""
        pools = self._pools()
        self._quicken(pools)
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
        self.waits()
        self._sum_up()

    def _quicken(self, pools: list[tuple[Watched, Any]]) -> None:
        """Where all pools have parts, the gauges are set from these, and mostly without a call."""
        self.slow()
        found = [each.parts_of(pool) for each, pool in pools]
        parts = tuple(one for one in found if one is not None)
        if len(parts) != len(self._watched):
            return
        shown = partial(show, parts, self._active, self._utilization, self._open)
        for (each, pool), (taken, _, most) in zip(pools, parts, strict=True):
            each.show = shown
            noted = each.taken if each.notes else None
            limit = inf if most is None else most
            quick[id(pool)] = Quick(
                each.reference, (each, None), noted, taken, limit, shown, self.wait
            )

    def slow(self) -> None:
        """Lets go of all parts: what `show` refers to would keep connections of dead pools open."""
        for each in tuple(self._watched):
            each.show = None
            quick.pop(each.key, None)

    def moved(self, watched: Watched, pool: Any) -> None:
        """Sets the gauges that each checkout and each return of `pool` change."""
        if watched.show is not None and not getattr(pool, "closed", False):
            watched.show()
        else:
            self._sum_up()

    def _sum_up(self) -> None:
        # No lock, as in `show`.
        shown = None
        while shown != (shown := self._read()):
            used, idle, share = shown
            self._active.set(used)
            if self._limited:
                self._utilization.set(share)
            self._open.set(used + idle)

    def waits(self) -> None:
        """Sets the gauge of those who wait for a connection."""
        shown = None
        while shown != (shown := sum(len(each.waiting) for each in self._watched)):
            self._waiting.set(shown)

    def _read(self) -> tuple[int, int, float]:
        """Connections that are out, those that are idle, and the highest share of a pool."""
        states = [
            None if (pool := each.reference()) is None else each.state(pool)
            for each in self._watched[:]
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
        self.known: dict[int, Watched] = {}
        self._kept_fresh = False

    def watched(self, pool: Any, kind: Kind) -> Watched:
        """What is known of a pool, from the first time on."""
        known = self.known.get(id(pool))
        if known is None or known.reference() is not pool:
            for key, found in [*self.known.items()]:
                if found.reference() is None:
                    self.known.pop(key, None)
            known = self.known[id(pool)] = kind(pool)
        return known

    def changed(self, pool: Any, kind: Kind) -> None:
        """Told after a pool's connections moved. Never raises."""
        try:
            watched = self.known.get(id(pool))
            if watched is None or watched.reference() is not pool:
                watched = self.watched(pool, kind)
            if watched.show is not None and not getattr(pool, "closed", False):
                watched.show()
            elif watched.database is not None:
                watched.database.moved(watched, pool)
            else:
                self._found(watched, pool, None)
        except Exception:
            failed("recording a pool")

    def resized(self, pool: Any, kind: Kind) -> None:
        """Told after a pool was opened, closed, or got another size. Never raises."""
        try:
            watched = self.watched(pool, kind)
            (watched.database or self._found(watched, pool, None)).show()
        except Exception:
            failed("recording a pool")

    def returns(self, pool: Any, kind: Kind, connection: Any) -> None:
        """Told before a connection is given back, after which another may have it. Never raises."""
        try:
            watched = self.known.get(id(pool))
            if watched is None or watched.reference() is not pool:
                watched = self.watched(pool, kind)
            watched.returned(connection)
        except Exception:
            failed("recording a return")

    def begins(self, pool: Any, kind: Kind) -> Checkout:
        """Told before a checkout; what it returns is handed over at its end. Never raises."""
        try:
            watched = self.known.get(id(pool))
            if watched is None or watched.reference() is not pool:
                watched = self.watched(pool, kind)
            used, _, most = watched.state(pool) or _CLOSED
            if most is None or used < most:
                return watched, None
            token = object()
            watched.waiting.add(token)
            if watched.database is not None:
                watched.database.waits()
            return watched, token
        except Exception:
            failed("recording a checkout")
            return None, None

    def ended(self, pool: Any, checkout: Checkout, began: float, outcome: Any) -> None:
        """Told after a checkout that began at `began`, with its connection or exception.

        Never raises.
        """
        watched, token = checkout
        if watched is None:
            return  # it failed to begin
        try:
            error = outcome if isinstance(outcome, BaseException) else None
            if watched.notes and error is None:
                watched.taken(outcome)
            if token is not None:
                watched.waiting.discard(token)
                if watched.database is not None:
                    watched.database.waits()
            database = watched.database
            if database is not None:
                database.moved(watched, pool)
            else:
                database = self._found(watched, pool, None if error is not None else outcome)
            if watched.ignored:
                return
            database.wait.record_since(began)
            if error is not None and (kind_of_error := watched.error_of(pool, error)) is not None:
                errors.labels(kind_of_error).add()
        except Exception:
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

    def _found(self, watched: Watched, pool: Any, connection: Any) -> Database:
        """The database of a pool that is not known to lead to one; from now on it may be."""
        name = watched.name(pool, connection)
        database = self._databases.get(name or UNKNOWN)
        if database is None:
            database = self._databases.setdefault(name or UNKNOWN, Database(name or UNKNOWN))
        if name is not None and watched.state(pool) is not None:
            watched.database = database
            database.add(watched)
        return database


pools = Pools()
