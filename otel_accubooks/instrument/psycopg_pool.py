"""psycopg_pool: its checkouts, and how much of it is checked out; of its asyncio classes, too.

A checkout is a `getconn`, with its wait and its check. What its workers do in the background is none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from otel_accubooks.instrument.libpq import database_name
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.pool_gauges import Parts
from otel_accubooks.instrument.pool_methods import (
    Method,
    measured_async_checkout,
    measured_checkout,
    watched_async_return,
    watched_return,
)
from otel_accubooks.instrument.pools import Counted, State, pools


class _Pool(Counted):
    def state(self, pool: Any) -> State | None:
        # A NullConnectionPool with a size of 0 has no limit.
        return None if pool.closed else (len(self.out), len(pool._pool), pool.max_size or None)

    def parts_of(self, pool: Any) -> Parts:
        return self.out, pool._pool, pool.max_size or None

    def least(self, pool: Any) -> int:
        return int(pool.min_size)

    def name(self, pool: Any, connection: Any) -> str | None:
        if connection is not None:
            return str(connection.info.dbname)
        if callable(pool.conninfo) or callable(pool.kwargs):
            return None
        from psycopg.conninfo import conninfo_to_dict

        parameters: dict[str, Any] = conninfo_to_dict(pool.conninfo)
        parameters.update(pool.kwargs or {})
        return database_name(parameters)

    def idle_timeout(self, pool: Any) -> float | None:
        return float(pool.max_idle)

    def connection_timeout(self, pool: Any) -> float | None:
        return float(pool.timeout)

    def error_of(self, pool: Any, error: BaseException) -> str | None:  # noqa: ARG002
        from psycopg_pool import PoolTimeout, TooManyRequests

        return "pool_exhausted" if isinstance(error, PoolTimeout | TooManyRequests) else None


def _sized(original: Method) -> Method:
    """For `__init__`, `open`, `close` and `resize`."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        pools.resized(self, _Pool)
        return result

    return method


def _sized_async(original: Callable[..., Awaitable[Any]]) -> Method:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = await original(self, *args, **kwargs)
        pools.resized(self, _Pool)
        return result

    return method


def instrument(module: Any) -> Patches:
    """Measures every pool of this process; `module` is psycopg_pool."""
    patches = Patches()
    for owner in (module.ConnectionPool, module.AsyncConnectionPool):
        patches.wrap(owner, "__init__", _sized)
    for name in ("open", "close", "resize"):
        patches.wrap(module.ConnectionPool, name, _sized)
        patches.wrap(module.AsyncConnectionPool, name, _sized_async)
    patches.wrap(module.ConnectionPool, "getconn", measured_checkout(_Pool))
    patches.wrap(module.ConnectionPool, "putconn", watched_return(_Pool))
    patches.wrap(module.AsyncConnectionPool, "getconn", measured_async_checkout(_Pool))
    patches.wrap(module.AsyncConnectionPool, "putconn", watched_async_return(_Pool))
    pools.keep_fresh()
    return patches
