"""psycopg2.pool: how long a checkout takes, and how much of the pools is checked out.

A checkout is the outermost `getconn`: of a subclass that waits for a free connection, its wait too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from time import perf_counter
from types import FunctionType
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
from otel_accubooks.instrument.faults import FAULTS
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.polling import polls
from otel_accubooks.instrument.psycopg2_errors import errors
from otel_accubooks.instrument.psycopg2_health import database_name
from otel_accubooks.recorder.process import recorder

REFRESH_SECONDS = 5.0

Method = Callable[..., Any]


class Database:
    """The pools of this process that lead to one database, under its name."""

    def __init__(self, name: str) -> None:
        self._active = recorder.gauge(DB_ACTIVE_CONNECTIONS).labels(name)
        self._utilization = recorder.gauge(DB_POOL_UTILIZATION_PERCENT).labels(name)
        self._most = recorder.gauge(DB_POOL_MAX_CONNECTIONS).labels(name)
        self._least = recorder.gauge(DB_POOL_MIN_CONNECTIONS).labels(name)
        self.wait = recorder.histogram(DB_CONNECTION_WAIT_TIME_MS).labels(name)
        self._pools: list[ref[Any]] = []

    def add(self, pool: ref[Any]) -> None:
        """Counts a pool in, until it is closed or gone."""
        self._pools.append(pool)
        self.show()

    def show(self) -> None:
        """Sets all gauges."""
        pools = [pool for pool in (known() for known in tuple(self._pools)) if pool is not None]
        self._most.set(sum(pool.maxconn for pool in pools))
        self._least.set(sum(pool.minconn for pool in pools))
        self.moved()

    def moved(self) -> None:
        """Sets the gauges that each checkout and each return change.

        No lock: whoever sets last reads again, so what stands in the end is what is.
        """
        shown = None
        while shown != (shown := self._read()):
            self._active.set(shown[0])
            self._utilization.set(shown[1])

    def _read(self) -> tuple[int, float]:
        active, worst, gone = 0, 0.0, False
        for known in self._pools:
            pool = known()
            if pool is None or pool.closed:
                gone = True
                continue
            used = len(pool._used)
            share = 100.0 * used / (pool.maxconn or 1)
            active += used
            worst = max(worst, share)
        if gone:
            self._forget()
        return active, worst

    def _forget(self) -> None:
        for known in tuple(self._pools):
            pool = known()
            if pool is None or pool.closed:
                try:
                    self._pools.remove(known)
                except ValueError:
                    pass  # another thread was first
        self.show()


class Pools:
    """Which pool leads where."""

    def __init__(self, module: Any) -> None:
        self._base = module.AbstractConnectionPool
        self._pool_error = module.PoolError
        self._database_error = module.psycopg2.DatabaseError
        self._parse_dsn = module.psycopg2.extensions.parse_dsn
        self._databases: dict[str, Database] = {}
        # By id, each with a reference that tells whether the id is still this pool's.
        self._known: dict[int, tuple[ref[Any], Database]] = {}
        self._watched_types: set[type] = set()
        self._checkouts: set[object] = set()

    def database_of(self, pool: Any) -> Database:
        """The database that a pool leads to; from the first time on the pool is counted there."""
        known = self._known.get(id(pool))
        if known is not None and known[0]() is pool:
            return known[1]
        name = self._name_of(pool)
        database = self._databases.get(name or UNKNOWN)
        if database is None:
            database = self._databases.setdefault(name or UNKNOWN, Database(name or UNKNOWN))
        if name is not None:
            self._known = {key: found for key, found in self._known.items() if found[0]()}
            reference = ref(pool)
            self._known[id(pool)] = reference, database
            database.add(reference)
        return database

    def _name_of(self, pool: Any) -> str | None:
        """The name of the database: a connection knows it, else the parameters may tell."""
        for connection in (*pool._pool, *pool._used.values()):
            if not connection.closed:
                return str(connection.info.dbname)
        dsn = pool._args[0] if pool._args else pool._kwargs.get("dsn")
        parameters = self._parse_dsn(dsn) if dsn else {}
        name = pool._kwargs.get("dbname") or pool._kwargs.get("database")
        return database_name({**parameters, **({"dbname": name} if name else {})})

    def show_all(self) -> None:
        """Sets the gauges anew: in a forked child, and for pools that were garbage."""
        for database in list(self._databases.values()):
            database.show()

    def changed(self, pool: Any) -> None:
        """Told after a pool's connections moved. Never raises."""
        try:
            self.database_of(pool).moved()
        except (*FAULTS, self._database_error):
            failed("recording a pool")

    def _checkout_ended(self, pool: Any, began: float, error: BaseException | None) -> None:
        elapsed = (perf_counter() - began) * 1000.0
        try:
            database = self.database_of(pool)
            database.wait.record(elapsed)
            if error is not None and self._exhausted(pool, error):
                errors.labels("pool_exhausted").add()
            database.moved()
        except (*FAULTS, self._database_error):
            failed("recording a checkout")

    def _exhausted(self, pool: Any, error: BaseException) -> bool:
        if pool.closed or isinstance(error, self._database_error):
            return False
        # A subclass may raise something of its own when its wait was in vain.
        full = isinstance(error, Exception) and len(pool._used) >= pool.maxconn
        return full or isinstance(error, self._pool_error)

    def measured_checkout(self, original: Method) -> Method:
        """For `getconn`."""

        def getconn(self_: Any, *args: Any, **kwargs: Any) -> Any:
            outermost = type(self_).getconn
            if outermost is not getconn and outermost in self._checkouts:
                return original(self_, *args, **kwargs)
            began = perf_counter()
            try:
                connection = original(self_, *args, **kwargs)
            except BaseException as error:
                self._checkout_ended(self_, began, error)
                raise
            self._checkout_ended(self_, began, None)
            return connection

        self._checkouts.add(getconn)
        return getconn

    def watched_return(self, original: Method) -> Method:
        """For `putconn` and `closeall`."""

        def method(self_: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self_, *args, **kwargs)
            finally:
                self.changed(self_)

        return method

    def watched_init(self, original: Method, patches: Patches) -> Method:
        """For the base class's `__init__`: every pool passes here, of whatever class."""

        def __init__(self_: Any, *args: Any, **kwargs: Any) -> None:
            self.watch_type(type(self_), patches)
            original(self_, *args, **kwargs)
            self.changed(self_)

        return __init__

    def watch_type(self, kind: type, patches: Patches) -> None:
        """Wraps what a class and its ancestors define themselves, once for each class."""
        for owner in kind.__mro__:
            if owner is self._base or owner in self._watched_types:
                continue
            self._watched_types.add(owner)
            for name, wrapper in (
                ("getconn", self.measured_checkout),
                ("putconn", self.watched_return),
                ("closeall", self.watched_return),
            ):
                method = vars(owner).get(name)
                # Not a context manager made of a generator: calling it checks nothing out yet.
                if isinstance(method, FunctionType) and not inspect.isgeneratorfunction(
                    inspect.unwrap(method)
                ):
                    patches.wrap(owner, name, wrapper)


def instrument(module: Any) -> Patches:
    """Measures every pool of this process; `module` is psycopg2.pool.

    Pools that exist already are counted from their next checkout on.
    """
    patches = Patches()
    pools = Pools(module)
    for kind in (module.SimpleConnectionPool, module.ThreadedConnectionPool):
        pools.watch_type(kind, patches)
    patches.wrap(
        module.AbstractConnectionPool,
        "__init__",
        lambda original: pools.watched_init(original, patches),
    )
    polls.add_everywhere("refreshing the pools", pools.show_all, REFRESH_SECONDS)
    recorder.on_open(pools.show_all)
    return patches
