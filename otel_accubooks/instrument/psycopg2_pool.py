"""psycopg2.pool: its checkouts, and how much of it is checked out.

A checkout is the outermost `getconn`: of a subclass that waits for a free connection, its wait too.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.libpq import database_name
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.pool_gauges import Parts
from otel_accubooks.instrument.pool_methods import Method, measured_checkout, watched_change
from otel_accubooks.instrument.pools import State, Watched, pools


class _Pool(Watched):
    """A pool of psycopg2; `module` is psycopg2.pool."""

    def __init__(self, pool: Any, module: Any) -> None:
        super().__init__(pool)
        self._pool_error = module.PoolError
        self._driver = module.psycopg2

    def state(self, pool: Any) -> State | None:
        return None if pool.closed else (len(pool._used), len(pool._pool), pool.maxconn)

    def parts_of(self, pool: Any) -> Parts:
        return pool._used, pool._pool, pool.maxconn

    def least(self, pool: Any) -> int:
        return int(pool.minconn)

    def name(self, pool: Any, connection: Any) -> str | None:  # noqa: ARG002
        """A connection knows it, else the parameters may tell."""
        try:
            for each in (*pool._pool, *pool._used.values()):
                if not each.closed:
                    return str(each.info.dbname)
        except self._driver.Error:
            pass  # closed just now
        return database_name(self._parameters(pool))

    def connection_timeout(self, pool: Any) -> float | None:
        """`getconn` never waits for a connection, but for a new one as long as libpq is told."""
        given = self._parameters(pool).get("connect_timeout", "").strip()
        return float(given) if given.isdecimal() and int(given) else None

    def error_of(self, pool: Any, error: BaseException) -> str | None:
        if pool.closed or isinstance(error, self._driver.DatabaseError):
            return None
        # A subclass may raise something of its own when its wait was in vain.
        full = isinstance(error, Exception) and len(pool._used) >= pool.maxconn
        return "pool_exhausted" if full or isinstance(error, self._pool_error) else None

    def _parameters(self, pool: Any) -> dict[str, str]:
        given = {key: str(value) for key, value in pool._kwargs.items() if value is not None}
        dsn = pool._args[0] if pool._args else given.pop("dsn", None)
        if "database" in given:
            given["dbname"] = given.pop("database")
        try:
            return {**(self._driver.extensions.parse_dsn(dsn) if dsn else {}), **given}
        except self._driver.Error:
            return given  # no connection string: the application will be told


class _Types:
    """The classes of pools: what each defines itself is wrapped once."""

    def __init__(self, module: Any) -> None:
        self._base = module.AbstractConnectionPool
        self._watched: set[type] = set()

        def kind(pool: Any) -> Watched:
            return _Pool(pool, module)

        self._kind = kind
        self._checkout = measured_checkout(kind, "getconn", set())

    def init(self, original: Method, patches: Patches) -> Method:
        """For the base class's `__init__`: every pool passes here, of whatever class."""

        def __init__(self_: Any, *args: Any, **kwargs: Any) -> None:
            try:
                self.watch(type(self_), patches)
            except Exception:
                failed("measuring a class of pools")
            original(self_, *args, **kwargs)
            pools.changed(self_, self._kind)

        return __init__

    def watch(self, kind: type, patches: Patches) -> None:
        """Wraps what a class and its ancestors define themselves, once for each class."""
        for owner in kind.__mro__:
            if owner is self._base or owner in self._watched:
                continue
            self._watched.add(owner)
            for name, wrapper in (
                ("getconn", self._checkout),
                ("putconn", watched_change(self._kind)),
                ("closeall", watched_change(self._kind)),
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
    types = _Types(module)
    for kind in (module.SimpleConnectionPool, module.ThreadedConnectionPool):
        types.watch(kind, patches)
    patches.wrap(
        module.AbstractConnectionPool,
        "__init__",
        lambda original: types.init(original, patches),
    )
    pools.keep_fresh()
    return patches
