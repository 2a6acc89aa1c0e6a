"""psycopg2: how long queries take, and which connections fail.

One observation is one call that sends SQL: `execute`, `executemany`, `callproc`, a `copy_*`. So
`execute_values` and `execute_batch` make one for each page that they send. Of an asynchronous
connection it is the sending alone. Rows that a named cursor fetches later are not measured, nor are
`commit` and `rollback`.

The C types `cursor` and `connection` cannot be changed, so subclasses take their places; whatever
derives from them, in `psycopg2.extras` or in the application, inherits what is measured.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import Any

from otel_accubooks.instrument.database_errors import DOWN, Losses, errors, refusal
from otel_accubooks.instrument.databases import Strings
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.psycopg2_health import connection_strings
from otel_accubooks.instrument.queries import LONGEST, query_ended, query_of, remembered
from otel_accubooks.recorder.process import recorder

_MADE_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE

Method = Callable[..., Any]


def _measured_execute(losses: Losses) -> Callable[[Method], Method]:
    """As `_measured`, for what is called most."""

    def wrapper(original: Method) -> Method:
        def execute(self: Any, query: Any, vars: Any = None) -> Any:
            began = perf_counter()
            try:
                result = original(self, query, vars)
            except BaseException as error:
                query_ended(query, began)
                losses.noticed_by(self, error)
                raise
            try:
                series = remembered(query) if type(query) is str and len(query) <= LONGEST else None
                if series is not None:
                    series.record_since(began)
                else:
                    query_ended(query, began)
            except Exception:
                failed("recording a query")
            return result

        return execute

    return wrapper


def _measured(losses: Losses, verb: str | None = None) -> Callable[[Method], Method]:
    """For a cursor's method: it does `verb`, or, if None, what its query says."""

    def wrapper(original: Method) -> Method:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                query_ended(verb or query_of(args, kwargs), began)
                losses.noticed_by(self, error)
                raise
            query_ended(verb or query_of(args, kwargs), began)
            return result

        return method

    return wrapper


def _watched_end(losses: Losses) -> Callable[[Method], Method]:
    def wrapper(original: Method) -> Method:
        def method(self: Any) -> Any:
            try:
                return original(self)
            except BaseException as error:
                losses.noticed(self, error)
                raise

        return method

    return wrapper


def _cursors_of(kind: type) -> Callable[[Method], Method]:
    def wrapper(original: Method) -> Method:
        def cursor(
            self: Any,
            name: Any = None,
            cursor_factory: Any = None,
            withhold: Any = False,
            scrollable: Any = None,
        ) -> Any:
            if cursor_factory is None and self.cursor_factory is None:
                cursor_factory = kind
            return original(self, name, cursor_factory, withhold, scrollable)

        return cursor

    return wrapper


def _derived(base: Any, methods: dict[str, Callable[[Method], Method]], *first: type) -> type:
    """A subclass of a C type that shows itself as that type, with some of its methods wrapped.

    `first` are bases to be asked before it.
    """
    namespace: dict[str, Any] = {
        "__slots__": (),  # the layout of the C type, so that classes can move between the two
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
    }
    for name, wrapper in methods.items():
        original = getattr(base, name)
        namespace[name] = functools.wraps(original)(wrapper(original))
    return type(base.__name__, (*first, base), namespace)


def _cursor_type(module: Any, losses: Losses) -> type:
    copy = _measured(losses, "COPY")
    return _derived(
        module._psycopg.cursor,
        {
            "execute": _measured_execute(losses),
            "executemany": _measured(losses),
            "callproc": _measured(losses, "CALL"),
            "copy_from": copy,
            "copy_to": copy,
            "copy_expert": copy,
        },
    )


def _connection_type(module: Any, losses: Losses, cursor: type) -> type:
    end = _watched_end(losses)
    return _derived(
        module._psycopg.connection,
        {"cursor": _cursors_of(cursor), "commit": end, "rollback": end},
    )


def _take_place(patches: Patches, module: Any, measured: type, original: type) -> None:
    for owner in (module._psycopg, module.extensions):
        patches.set(owner, measured.__name__, measured)
    # What was derived before we came: psycopg2.extras, or the application's own classes.
    subclasses: list[Any] = original.__subclasses__()
    for derived in subclasses:
        if derived is measured or not derived.__flags__ & _MADE_IN_PYTHON:
            continue
        try:
            derived.__bases__ = tuple(measured if b is original else b for b in derived.__bases__)
        except TypeError:
            failed(f"measuring the class {derived.__name__}")


def _measured_connect(
    connection: type, operational_error: type[Exception], strings: Strings
) -> Callable[[Method], Method]:
    def wrapper(original: Method) -> Method:
        def _connect(*args: Any, **kwargs: Any) -> Any:
            if len(args) < 2 and kwargs.get("connection_factory") is None:
                kwargs["connection_factory"] = connection
            dsn = args[0] if args else kwargs.get("dsn")
            try:
                made = original(*args, **kwargs)
            except operational_error as error:
                if refusal(error) in DOWN:
                    strings.used(dsn)
                raise
            strings.used(dsn, made)
            return made

        return _connect

    return wrapper


def instrument(module: Any) -> Patches:
    """Measures every connection that this process makes; `module` is psycopg2.

    Classes that were derived meanwhile stay measured when the patches are restored.
    """
    patches = Patches()
    losses = Losses(
        module.DatabaseError, "closed"
    )  # later calls raise InterfaceError, which is none
    base_cursor, base_connection = module._psycopg.cursor, module._psycopg.connection
    replication = module._psycopg.ReplicationConnection, module._psycopg.ReplicationCursor
    cursor = _cursor_type(module, losses)
    connection = _connection_type(module, losses, cursor)
    _take_place(patches, module, cursor, base_cursor)
    _take_place(patches, module, connection, base_connection)
    # So that a replication connection is still a connection, and its cursor a cursor.
    for base, first in zip(replication, (connection, cursor), strict=True):
        patches.set(module._psycopg, base.__name__, _derived(base, {}, first))
    strings = connection_strings(module, module._connect)
    patches.wrap(
        module, "_connect", _measured_connect(connection, module.OperationalError, strings)
    )
    recorder.on_open(errors.announce)
    return patches
