"""psycopg 3: how long queries take, and which connections fail; of its asyncio classes, too.

One observation is one call that sends SQL: `execute` (a connection's goes through a cursor's),
`executemany`, `stream` until its first row, and a `copy` block as a whole. In a pipeline it is the
time of the call, which waits for no answer. Rows that a server-side cursor fetches later are not
measured, nor are `commit` and `rollback`.

The classes' own methods are wrapped, so whatever derives from them inherits what is measured.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any

from otel_accubooks.instrument.database_errors import DOWN, Losses, errors, refusal
from otel_accubooks.instrument.databases import Strings
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.psycopg_health import connection_strings
from otel_accubooks.instrument.queries import LONGEST, query_ended, query_of, remembered
from otel_accubooks.recorder.process import recorder

Method = Callable[..., Any]

_NO_ROW = object()


class _Query:
    """What is measured of one call that sends SQL: the time of a block, and a connection lost in it."""

    __slots__ = ("_began", "_cursor", "_losses", "_query")

    def __init__(self, losses: Losses, cursor: Any, query: object) -> None:
        self._losses = losses
        self._cursor = cursor
        self._query = query

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        query_ended(self._query, self._began)
        if error is not None:
            self._losses.noticed_by(self._cursor, error)


class _Cursors:
    """The wrappers of cursors' methods."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses

    def _measured(self, cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Query:
        return _Query(self._losses, cursor, query_of(args, kwargs))

    def execute(self, original: Method) -> Method:
        """Without a block, which would cost as much again: this is what is called most."""
        losses = self._losses

        def execute(self_: Any, *args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                result = original(self_, *args, **kwargs)
            except BaseException as error:
                query_ended(query_of(args, kwargs), began)
                losses.noticed_by(self_, error)
                raise
            try:
                query = args[0] if args else kwargs.get("query", "")
                series = remembered(query) if type(query) is str and len(query) <= LONGEST else None
                if series is not None:
                    series.record_since(began)
                else:
                    query_ended(query, began)
            except Exception:
                failed("recording a query")
            return result

        return execute

    def execute_async(self, original: Method) -> Method:
        async def execute(self_: Any, *args: Any, **kwargs: Any) -> Any:
            with self._measured(self_, args, kwargs):
                return await original(self_, *args, **kwargs)

        return execute

    def stream(self, original: Method) -> Method:
        def stream(self_: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
            rows = original(self_, *args, **kwargs)
            with self._measured(self_, args, kwargs):
                first = next(rows, _NO_ROW)
            if first is _NO_ROW:
                return
            try:
                yield first
                yield from rows
            finally:
                rows.close()

        return stream

    def stream_async(self, original: Method) -> Method:
        async def stream(self_: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            rows = original(self_, *args, **kwargs)
            with self._measured(self_, args, kwargs):
                first = await anext(rows, _NO_ROW)
            if first is _NO_ROW:
                return
            try:
                yield first
                async for row in rows:
                    yield row
            finally:
                await rows.aclose()

        return stream

    def copy(self, original: Method) -> Method:
        @contextmanager
        def measured(cursor: Any, block: Any) -> Iterator[Any]:
            with _Query(self._losses, cursor, "COPY"), block as copy:
                yield copy

        return lambda self_, *args, **kwargs: measured(self_, original(self_, *args, **kwargs))

    def copy_async(self, original: Method) -> Method:
        @asynccontextmanager
        async def measured(cursor: Any, block: Any) -> AsyncIterator[Any]:
            with _Query(self._losses, cursor, "COPY"):
                async with block as copy:
                    yield copy

        return lambda self_, *args, **kwargs: measured(self_, original(self_, *args, **kwargs))


class _Connections:
    """The wrappers of connections' methods."""

    def __init__(self, module: Any, losses: Losses) -> None:
        self._error = module.Error
        self._losses = losses
        self._strings: Strings = connection_strings(module)
        named = inspect.signature(module.Connection.connect).parameters.values()
        # What psycopg takes for itself; all else is libpq's.
        self._own = {each.name for each in named if each.kind is not each.VAR_KEYWORD}

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        conninfo = args[0] if args else kwargs.get("conninfo", "")
        return (conninfo, *((k, v) for k, v in kwargs.items() if k not in self._own))

    def _made(self, args: tuple[Any, ...], kwargs: dict[str, Any], connection: Any = None) -> None:
        try:
            self._strings.used(self._given(args, kwargs), connection)
        except Exception:
            failed("watching a database")

    def _failed(self, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> None:
        if refusal(error) in DOWN:
            self._made(args, kwargs)

    def connect(self, original: Method) -> Method:
        def connect(cls: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                made = original(cls, *args, **kwargs)
            except self._error as error:
                self._failed(args, kwargs, error)
                raise
            self._made(args, kwargs, made)
            return made

        return connect

    def connect_async(self, original: Method) -> Method:
        async def connect(cls: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                made = await original(cls, *args, **kwargs)
            except self._error as error:
                self._failed(args, kwargs, error)
                raise
            self._made(args, kwargs, made)
            return made

        return connect

    def end(self, original: Method) -> Method:
        def end(self_: Any) -> Any:
            try:
                return original(self_)
            except BaseException as error:
                self._losses.noticed(self_, error)
                raise

        return end

    def end_async(self, original: Method) -> Method:
        async def end(self_: Any) -> Any:
            try:
                return await original(self_)
            except BaseException as error:
                self._losses.noticed(self_, error)
                raise

        return end


def instrument(module: Any) -> Patches:
    """Measures every connection that this process makes; `module` is psycopg."""
    patches = Patches()
    losses = Losses(module.DatabaseError, "broken")
    connections = _Connections(module, losses)
    cursors = _Cursors(losses)
    for owner, name, wrapper in (
        (module.Cursor, "execute", cursors.execute),
        (module.Cursor, "executemany", cursors.execute),
        (module.Cursor, "stream", cursors.stream),
        (module.Cursor, "copy", cursors.copy),
        (module.ServerCursor, "execute", cursors.execute),
        (module.AsyncCursor, "execute", cursors.execute_async),
        (module.AsyncCursor, "executemany", cursors.execute_async),
        (module.AsyncCursor, "stream", cursors.stream_async),
        (module.AsyncCursor, "copy", cursors.copy_async),
        (module.AsyncServerCursor, "execute", cursors.execute_async),
        (module.Connection, "commit", connections.end),
        (module.Connection, "rollback", connections.end),
        (module.AsyncConnection, "commit", connections.end_async),
        (module.AsyncConnection, "rollback", connections.end_async),
    ):
        patches.wrap(owner, name, wrapper)
    patches.wrap_class_method(module.Connection, "connect", connections.connect)
    patches.wrap_class_method(module.AsyncConnection, "connect", connections.connect_async)
    patches.set(module, "connect", module.Connection.connect)
    recorder.on_open(errors.announce)
    return patches
