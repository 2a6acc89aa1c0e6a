"""SQLAlchemy, measured in applications of their own on a real PostgreSQL and on SQLite."""

import textwrap

import pytest

from otel_accubooks.contract.metrics import (
    DB_ACTIVE_CONNECTIONS,
    DB_CONNECTION_ERRORS_TOTAL,
    DB_CONNECTION_WAIT_TIME_MS,
    DB_POOL_MAX_CONNECTIONS,
    DB_POOL_MIN_CONNECTIONS,
    DB_POOL_UTILIZATION_PERCENT,
    DB_QUERY_DURATION_MS,
    SYSTEM_HEALTH_STATUS,
)
from otel_accubooks.contract.unsent import (
    DB_POOL_CONNECTION_TIMEOUT_MS,
    DB_POOL_IDLE_TIMEOUT_MS,
    DB_POOL_OPEN_CONNECTIONS,
    DB_POOL_WAITING,
)
from otel_accubooks.stack.ports import free_port

NAME = "postgres"
DRIVERS = ["psycopg2", "psycopg", "pg8000"]


@pytest.fixture
def run(application, postgres):
    """Runs a script that has `create_engine`, `text`, and `url(driver)` of a database."""
    head = f"""
import asyncio
from sqlalchemy import create_engine, event, exc, pool, text
dsn = {postgres.dsn!r}
def url(driver, **changed):
    import psycopg2.extensions
    from sqlalchemy.engine import URL
    told = {{**psycopg2.extensions.parse_dsn(dsn), **changed}}
    return URL.create(
        f"postgresql+{{driver}}", told["user"], told.get("password"), told["host"], int(told["port"]),
        told["dbname"],
    )
"""

    def run_script(script, *imported_before):
        return application(head + textwrap.dedent(script), *imported_before)

    return run_script


def gauges(rows):
    """What `recorded()` said of the pool of the database."""
    return {name: value for name, labels, value in rows if labels == [NAME]}


@pytest.mark.parametrize("driver", DRIVERS)
def test_pool_and_queries_are_measured_whatever_the_driver(run, driver):
    """The gauges are those of the pool, and each query counts once, whoever measures it."""
    outcome = run(
        f"""
        engine = create_engine(url({driver!r}), pool_size=2, max_overflow=2, pool_timeout=5)
        engine.connect().close()  # what the dialect asks a new database is not ours to predict
        before = {{labels[0]: value for name, labels, value in recorded() if "query" in name}}
        held = [engine.connect() for _ in range(3)]
        with held.pop() as connection:
            connection.execute(text("SELECT 1"))
            connection.execute(text("CREATE TEMPORARY TABLE t (a int)"))
            connection.execute(text("INSERT INTO t VALUES (:a)"), [dict(a=1), dict(a=2)])
            connection.exec_driver_sql("DELETE FROM t")
            try:
                connection.execute(text("UPDATE nowhere SET a = 1"))
            except exc.ProgrammingError:
                said["raised"] = True
        after = {{labels[0]: value for name, labels, value in recorded() if "query" in name}}
        said["queries"] = {{k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k)}}
        """
    )
    assert outcome.said == {
        "raised": True,
        "queries": {"SELECT": 1, "CREATE": 1, "INSERT": 1, "DELETE": 1, "UPDATE": 1},
    }
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 2}
    assert outcome.of(DB_POOL_UTILIZATION_PERCENT) == {NAME: 50}
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 4}
    assert outcome.of(DB_POOL_MIN_CONNECTIONS) == {NAME: 0}
    assert outcome.of(DB_POOL_OPEN_CONNECTIONS) == {NAME: 3}
    assert outcome.of(DB_POOL_WAITING) == {NAME: 0}
    assert outcome.of(DB_POOL_CONNECTION_TIMEOUT_MS) == {NAME: 5_000}
    assert outcome.of(DB_POOL_IDLE_TIMEOUT_MS) == {}
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 4}


@pytest.mark.parametrize("driver", ["psycopg_async", "asyncpg"])
def test_asyncio_engines_are_measured(run, driver):
    """An AsyncEngine's pool and queries count as any other's."""
    outcome = run(
        f"""
        from sqlalchemy.ext.asyncio import create_async_engine
        async def work():
            engine = create_async_engine(url({driver!r}), pool_size=1, max_overflow=0, pool_timeout=0.1)
            async with engine.connect() as connection:
                before = dict((labels[0], value) for name, labels, value in recorded() if "query" in name)
                await connection.execute(text("VALUES (1)"))
                said["inside"] = recorded()
                try:
                    await engine.connect()
                except exc.TimeoutError:
                    said["in vain"] = True
                task = asyncio.create_task(connection.execute(text("SELECT pg_sleep(60)")))
                await asyncio.sleep(0.1)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    said["cancelled"] = True
            await engine.dispose()
        asyncio.run(work())
        """
    )
    inside = gauges(outcome.said.pop("inside"))
    assert outcome.said == {"in vain": True, "cancelled": True}
    assert inside[DB_ACTIVE_CONNECTIONS.name] == 1
    assert inside[DB_POOL_UTILIZATION_PERCENT.name] == 100
    assert outcome.of(DB_QUERY_DURATION_MS)["VALUES"] == 1
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {"pool_exhausted": 1}
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 0}


def test_sqlite_is_measured_with_each_of_its_pools(run):
    """Each kind of pool has its size; a file's label is its name without the folders."""
    outcome = run(
        """
        import os, tempfile
        path = os.path.join(tempfile.mkdtemp(), "books.db")
        memory = create_engine("sqlite://")
        with memory.connect() as one:
            one.execute(text("CREATE TABLE t (a int)"))
            one.execute(text("INSERT INTO t VALUES (:a)"), [dict(a=1), dict(a=2)])
            said["rows"] = one.execute(text("SELECT count(*) FROM t")).scalar()
        kinds = {}
        for kind in (pool.QueuePool, pool.NullPool, pool.StaticPool, pool.AssertionPool):
            engine = create_engine(f"sqlite:///{path}.{kind.__name__}", poolclass=kind)
            with engine.connect() as connection:
                connection.execute(text("PRAGMA user_version"))
        said["names"] = sorted(
            labels[0] for name, labels, _ in recorded() if name == "db_connection_wait_time_ms"
        )
        """
    )
    assert outcome.said["rows"] == 2
    kinds = ("AssertionPool", "NullPool", "QueuePool", "StaticPool")
    assert outcome.said["names"] == [":memory:", *(f"books.db.{kind}" for kind in kinds)]
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {
        ":memory:": 5,
        "books.db.QueuePool": 15,
        "books.db.StaticPool": 1,
        "books.db.AssertionPool": 1,
    }
    assert not any(outcome.of(DB_ACTIVE_CONNECTIONS).values())
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {
        "CREATE": 1,
        "INSERT": 1,
        "SELECT": 1,
        "OTHER": 4,
    }


def test_a_pool_without_a_limit_has_no_share(run):
    """Unlimited overflow and NullPool: what is out is shown, a largest size and a share are not."""
    outcome = run(
        """
        one = create_engine(url("psycopg2"), max_overflow=-1)
        two = create_engine(url("psycopg2"), poolclass=pool.NullPool)
        held = one.connect(), two.connect(), two.connect()
        poll()
        """
    )
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 3}
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {}
    assert outcome.of(DB_POOL_UTILIZATION_PERCENT) == {}
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}


def test_waits_show_and_a_wait_in_vain_is_an_exhausted_pool(run):
    """A checkout of a full pool waits; when it gives up, the pool is exhausted, once."""
    outcome = run(
        """
        import threading, time
        engine = create_engine(url("psycopg2"), pool_size=1, max_overflow=0, pool_timeout=30)
        held = engine.connect()
        waiter = threading.Thread(target=lambda: engine.connect().close())
        waiter.start()
        waits = lambda: [value for name, labels, value in recorded() if name == "db_pool_waiting"]
        while waits() != [1]:
            time.sleep(0.01)
        held.close()
        waiter.join()
        said["after"] = waits()
        small = create_engine(url("psycopg"), pool_size=1, max_overflow=0, pool_timeout=0.05)
        with small.connect():
            try:
                small.connect()
            except exc.TimeoutError:
                said["in vain"] = True
        """
    )
    assert outcome.said == {"after": [0], "in vain": True}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {"pool_exhausted": 1}
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 4}


def test_whatever_way_a_connection_leaves_it_is_not_out_any_more(run):
    """Detached, invalidated, disposed of, garbage: the gauges are what is checked out and allowed."""
    outcome = run(
        """
        import gc, warnings
        engine = create_engine(url("psycopg2"), pool_size=3, max_overflow=0)
        say = lambda: [
            value for wanted in ("db_active_connections", "db_pool_max_connections")
            for name, _, value in recorded() if name == wanted
        ]
        detached, invalidated, garbage = engine.connect(), engine.connect(), engine.raw_connection()
        said["out"] = say()
        detached.detach()
        invalidated.invalidate(); invalidated.close()
        said["two left"] = say()
        del garbage; gc.collect()
        said["none left"] = say()
        held = engine.connect()
        engine.dispose()
        said["disposed"] = say()
        said["again"] = engine.connect() is not None and say()
        held.close()
        gc.collect(); poll()
        said["end"] = say()
        """
    )
    assert outcome.said == {
        "out": [3, 3],
        "two left": [1, 3],
        "none left": [0, 3],
        "disposed": [1, 4],
        "again": [1, 4],
        "end": [0, 3],
    }


@pytest.mark.parametrize("driver", DRIVERS)
def test_connection_errors_are_counted_once(run, driver):
    """Why a connection could not be had, and that one was lost, whoever notices it."""
    outcome = run(
        f"""
        for changed in ({{"port": "{free_port()}"}}, {{"dbname": "no_such_database"}}):
            try:
                create_engine(url({driver!r}, **changed)).connect()
            except (exc.DBAPIError, exc.InterfaceError):
                said[len(said)] = True
        admin = create_engine(url("psycopg2")).connect()
        engine = create_engine(url({driver!r}), pool_pre_ping=False)
        connection = engine.connect()
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        admin.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), dict(pid=pid))
        for _ in range(2):
            try:
                connection.execute(text("SELECT 1"))
            except exc.SQLAlchemyError:
                pass
        connection.close()
        said["works"] = engine.connect().execute(text("SELECT 1")).scalar()
        """
    )
    assert outcome.said == {"0": True, "1": True, "works": 1}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {
        "refused": 1,
        "other": 1,
        "connection_lost": 1,
    }


def test_a_pool_that_feeds_on_another_does_not_count(run):
    """As psycopg advises: of a NullPool over a psycopg_pool, that pool alone counts."""
    outcome = run(
        """
        from psycopg_pool import ConnectionPool
        with ConnectionPool(dsn, min_size=1, max_size=2, close_returns=True) as inner:
            engine = create_engine("postgresql+psycopg://", creator=inner.getconn, poolclass=pool.NullPool)
            with engine.connect() as connection:
                said["inside"] = recorded()
        """
    )
    inside = gauges(outcome.said["inside"])
    assert inside[DB_ACTIVE_CONNECTIONS.name] == 1
    assert inside[DB_POOL_UTILIZATION_PERCENT.name] == 50
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 1}
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 0}


def test_creators_events_and_names_are_as_before(run):
    """The application's creator and listeners are called as ever; a creator's database has its name."""
    outcome = run(
        """
        import inspect, psycopg2
        told = []
        engine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn))
        for name in ("connect", "checkout", "checkin", "reset", "close"):
            event.listen(engine, name, lambda *_, name=name, **__: told.append(name))
        event.listen(engine, "before_cursor_execute", lambda *_: told.append("before"))
        other = create_engine(
            url("psycopg2"), echo=False, echo_pool=False, logging_name="a", pool_logging_name="b",
            pool_recycle=3600, hide_parameters=True, isolation_level="AUTOCOMMIT",
        )
        event.listen(other, "do_connect", lambda *_: told.append("do_connect"))
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            told.append("work")
        said["status"] = engine.pool.status().startswith("Pool size: 5  Connections in pool: 1")
        engine.dispose()
        other.connect().close()
        said["told"] = told
        checks = [
            "pool" in inspect.signature(type(engine)).parameters,
            pool.Pool.connect.__doc__.strip().startswith("Return a DBAPI connection"),
            "do_execute" not in vars(engine.dialect),
        ]
        said["wrong"] = [n for n, right in enumerate(checks) if not right]
        """
    )
    assert outcome.said["wrong"] == []
    assert outcome.said["status"] is True
    assert outcome.said["told"] == [
        "connect", "checkout", "before", "work", "reset", "checkin", "close", "do_connect",
    ]  # fmt: skip
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 30}
