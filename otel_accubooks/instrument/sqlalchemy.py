"""SQLAlchemy: the checkouts of its pools, and queries that no driver of ours measures.

Queries through psycopg2 and psycopg are measured there, whatever sends them. Through any other
driver one observation is one call of the driver's `execute` or `executemany` by an engine, and
connections that fail are counted here. Health is asked of databases behind the drivers of ours alone:
how long another's connection may take is not known.

A pool's largest size is `pool_size` and `max_overflow`; without a limit (`max_overflow=-1`, NullPool)
it has none, and so no share. Its least size is 0: it opens nothing by itself.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any, cast

from otel_accubooks.contract.metrics import UNKNOWN
from otel_accubooks.instrument.database_errors import error_type, errors
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.pool_gauges import Parts
from otel_accubooks.instrument.pool_methods import Method, measured_checkout, watched_return
from otel_accubooks.instrument.pools import Counted, State, Watched, pools
from otel_accubooks.instrument.queries import query_ended
from otel_accubooks.recorder.process import recorder

MEASURED_DRIVERS = ("psycopg2", "psycopg", "psycopg_async")
_SENDING = ("do_execute", "do_executemany", "do_execute_no_params")


class _Pool(Counted):
    """A pool of SQLAlchemy; `name` is the database's, as its engine's URL has it."""

    def __init__(self, pool: Any, name: str | None = None) -> None:
        super().__init__(pool)
        self.database_name = name
        # The engine has got another: this one only takes back what is out.
        self.replaced = False
        kinds = import_module("sqlalchemy.pool")
        self._queues = isinstance(pool, kinds.QueuePool)
        self._by_thread = isinstance(pool, kinds.SingletonThreadPool)
        self._single = isinstance(pool, kinds.StaticPool | kinds.AssertionPool)
        self._timeout: type[Exception] = import_module("sqlalchemy.exc").TimeoutError

    def taken(self, connection: Any) -> None:
        super().taken(connection._connection_record)
        # As with `creator=psycopg_pool.getconn`: that pool is the one that counts.
        driver_connection = getattr(connection, "driver_connection", None)
        if getattr(driver_connection, "_pool", None) is not None:
            self.ignored = True

    def state(self, pool: Any) -> State | None:
        if self.ignored:
            return None
        used, idle = len(self.out), 0
        most: int | None = 1 if self._single else None
        if self._queues:
            idle = pool.checkedin()
            most = pool.size() + pool._max_overflow if pool._max_overflow >= 0 else None
        elif self._by_thread:
            idle, most = max(0, len(pool._all_conns) - used), pool.size
        return used, idle, used if self.replaced else most

    def parts_of(self, pool: Any) -> Parts | None:
        # SQLAlchemy has no name for the idle ones but `checkedin()`, which takes a lock.
        idle = getattr(getattr(pool, "_pool", None), "queue", None)
        if not self._queues or self.ignored or self.replaced or not isinstance(idle, deque):
            return None
        most = pool.size() + pool._max_overflow if pool._max_overflow >= 0 else None
        return self.out, idle, most

    def least(self, pool: Any) -> int:  # noqa: ARG002
        return 0

    def name(self, pool: Any, connection: Any) -> str | None:  # noqa: ARG002
        if self.database_name is None and connection is not None:
            info = getattr(connection.dbapi_connection, "info", None)
            self.database_name = str(getattr(info, "dbname", None) or UNKNOWN)
        return self.database_name

    def connection_timeout(self, pool: Any) -> float | None:
        return float(pool.timeout()) if self._queues else None

    def error_of(self, pool: Any, error: BaseException) -> str | None:
        if isinstance(error, self._timeout):
            return "pool_exhausted"
        return error_type(error) if _is_of_another_driver(pool, error) else None


def _is_of_another_driver(pool: Any, error: object) -> bool:
    dialect = pool._dialect
    if getattr(dialect, "driver", MEASURED_DRIVERS[0]) in MEASURED_DRIVERS:
        return False
    return isinstance(error, (OSError, dialect.dbapi.Error))


def _database_name(url: Any) -> str | None:
    """The name in an engine's URL; None where only a connection knows it."""
    name: str | None = url.database
    if url.get_backend_name() != "sqlite":
        return name or None
    # A file: its name is enough to tell it from others.
    return (name or ":memory:").removeprefix("file:").partition("?")[0].rpartition("/")[2]


def _watch(engine: Any, name: str | None) -> None:
    pools.watched(engine.pool, lambda pool: _Pool(pool, name))
    if name is not None:
        pools.resized(engine.pool, _Pool)


def _measured(original: Method) -> Method:
    """For a dialect's bound method that sends SQL."""

    @functools.wraps(original)
    def send(cursor: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        try:
            return original(cursor, statement, *args, **kwargs)
        finally:
            query_ended(statement, began)

    return send


def _watched_engine(original: Method) -> Method:
    """For the class method that a dialect is told of each new engine by.

    `Engine.__init__` itself is left alone: create_engine looks into its code.
    """

    def engine_created(cls: Any, engine: Any) -> Any:
        try:
            _watch(engine, _database_name(engine.url))
            dialect = engine.dialect
            if getattr(dialect, "driver", None) not in MEASURED_DRIVERS:
                for name in _SENDING:
                    if name not in vars(dialect):
                        setattr(dialect, name, _measured(getattr(dialect, name)))
        except Exception:
            failed("watching an engine")
        return original(cls, engine)

    return engine_created


def _watched_dispose(original: Method) -> Method:
    def dispose(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = getattr(self, "pool", None)
        try:
            return original(self, *args, **kwargs)
        finally:
            try:
                if self.pool is not before:
                    known = cast(_Pool, pools.watched(before, _Pool))
                    known.replaced = True
                    _watch(self, known.database_name)
                    pools.resized(before, _Pool)
            except Exception:
                failed("watching an engine")

    return dispose


def _watched_detach(original: Method) -> Method:
    def detach(self: Any) -> Any:
        pool, record = getattr(self, "_pool", None), getattr(self, "_connection_record", None)
        if record is not None:
            pools.returns(pool, _Pool, record)
        try:
            return original(self)
        finally:
            if record is not None:
                pools.changed(pool, _Pool)

    return detach


def _watched_invalidate(original: Method) -> Method:
    """For a pool's record of a connection: what is lost of a driver that is not measured itself."""

    def invalidate(self: Any, e: Any = None, *args: Any, **kwargs: Any) -> Any:
        before = getattr(self, "dbapi_connection", None)  # since 1.4.24
        try:
            return original(self, e, *args, **kwargs)
        finally:
            try:
                if (
                    before is not None
                    and self.dbapi_connection is None
                    and _is_of_another_driver(self._ConnectionRecord__pool, e)
                ):
                    errors.labels("connection_lost").add()
            except Exception:
                failed("recording a lost connection")

    return invalidate


def instrument(module: Any) -> Patches:
    """Measures every pool and engine of this process; `module` is sqlalchemy.engine.

    Engines that were made meanwhile stay measured when the patches are restored.
    """
    patches = Patches()
    kinds, base = import_module("sqlalchemy.pool"), import_module("sqlalchemy.pool.base")
    kind: Callable[[Any], Watched] = _Pool
    patches.wrap_class_method(module.Dialect, "engine_created", _watched_engine)
    patches.wrap(module.Engine, "dispose", _watched_dispose)
    for owner in (kinds.Pool, kinds.SingletonThreadPool):
        patches.wrap(owner, "connect", measured_checkout(kind))
        if "_return_conn" in vars(owner):  # SingletonThreadPool has its own before 2.0
            patches.wrap(owner, "_return_conn", watched_return(kind))
    patches.wrap(base._ConnectionFairy, "detach", _watched_detach)
    patches.wrap(base._ConnectionRecord, "invalidate", _watched_invalidate)
    pools.keep_fresh()
    recorder.on_open(errors.announce)
    return patches
