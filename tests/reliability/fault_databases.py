"""Steps of psycopg2, psycopg and SQLAlchemy, and of their pools."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
import psycopg2
import psycopg2.extras
import psycopg2.pool
import psycopg_pool
import sqlalchemy
import sqlalchemy.exc
import sqlalchemy.pool

from tests.reliability.fault_step import DSN, closing, step, told

REFUSED = "postgresql://accubooks@127.0.0.1:1/postgres"


@step
def psycopg2_queries() -> Any:
    with closing(psycopg2.connect(DSN)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE t (a int)")
        cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)])
        psycopg2.extras.execute_values(cursor, "INSERT INTO t VALUES %s", [(3,), (4,)])
        copied = io.StringIO()
        cursor.copy_expert("COPY t TO STDOUT", copied)
        cursor.execute("SELECT sum(a) FROM t")
        found = cursor.fetchone()
        connection.commit()
        cursor.callproc("pg_backend_pid")
        connection.rollback()
        return found, copied.getvalue()


@step
def psycopg2_errors() -> Any:
    with closing(psycopg2.connect(DSN)) as connection, connection.cursor() as cursor:
        wrong = told(cursor.execute, "SELECT nothing")
        connection.rollback()
        none = told(cursor.callproc, "no_such_function")
        connection.rollback()
        pid = connection.info.backend_pid
        with closing(psycopg2.connect(DSN)) as other, other.cursor() as killing:
            killing.execute("SELECT pg_terminate_backend(%s, 1000)", (pid,))
        lost = told(cursor.execute, "SELECT 1")
        return wrong[0], none[0], lost[0], told(connection.commit)[0]


@step
def psycopg2_refused() -> Any:
    return told(psycopg2.connect, REFUSED)


def thrice(take: Callable[[], Any], give: Callable[[Any], Any]) -> list[Any]:
    """What a pool of one says when its connection is asked for three times, one after the other."""
    said = []
    for number in range(3):
        connection = take()
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", (number,))
            said.append(cursor.fetchone()[0])
        give(connection)
    return said


@step
def psycopg2_pool_of_one() -> Any:
    pool = psycopg2.pool.ThreadedConnectionPool(1, 1, DSN)
    try:
        said = thrice(pool.getconn, pool.putconn)
        held = pool.getconn()
        full = told(pool.getconn)[:3]
        pool.putconn(held)
        return said, full
    finally:
        pool.closeall()


@step
def psycopg2_pool_of_a_class() -> Any:
    class Pool(psycopg2.pool.SimpleConnectionPool):
        def getconn(self, key: Any = None) -> Any:
            return super().getconn(key)

    pool = Pool(1, 1, DSN)
    try:
        return thrice(pool.getconn, pool.putconn), told(pool.putconn, None)[0]
    finally:
        pool.closeall()


@step
def psycopg_queries() -> Any:
    with psycopg.connect(DSN) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE t (a int)")
        cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)])
        with cursor.copy("COPY t TO STDOUT") as copy:
            copied = b"".join(bytes(part) for part in copy)
        streamed = list(cursor.stream("SELECT a FROM t ORDER BY a"))
        nothing = list(cursor.stream("SELECT a FROM t WHERE a > 9"))
        with connection.cursor("named") as named:
            named.execute("SELECT a FROM t")
            rows = named.fetchall()
        connection.commit()
        connection.rollback()
        return copied.decode(), streamed, nothing, rows


@step
def psycopg_errors() -> Any:
    with closing(psycopg.connect(DSN)) as connection:
        wrong = told(connection.execute, "SELECT nothing")
        connection.rollback()
        pid = connection.info.backend_pid
        with psycopg.connect(DSN) as other:
            other.execute("SELECT pg_terminate_backend(%s, 1000)", (pid,))
        lost = told(connection.execute, "SELECT 1")
        return wrong, lost[0], told(connection.commit)[0], told(connection.rollback)[0]


@step
def psycopg_refused() -> Any:
    return told(psycopg.connect, REFUSED)[0], told(psycopg.Connection.connect, REFUSED)[0]


@step
def psycopg_pool_of_one() -> Any:
    pool = psycopg_pool.ConnectionPool(DSN, min_size=1, max_size=1, open=False)
    pool.open()
    try:
        pool.wait()
        said = thrice(pool.getconn, pool.putconn)
        held = pool.getconn()
        full = told(pool.getconn, 0.01)[0]
        pool.putconn(held)
        with pool.connection() as connection:
            said.append(connection.execute("SELECT 7").fetchone())
        pool.resize(1, 2)
        return said, full
    finally:
        pool.close()


@step
def psycopg_asyncio() -> Any:
    async def ask() -> Any:
        async with await psycopg.AsyncConnection.connect(DSN) as connection:
            async with connection.cursor() as cursor:
                await cursor.execute("CREATE TEMPORARY TABLE t (a int)")
                await cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)])
                async with cursor.copy("COPY t TO STDOUT") as copy:
                    copied = [bytes(part).decode() async for part in copy]
                rows = [row async for row in cursor.stream("SELECT a FROM t ORDER BY a")]
                none = [row async for row in cursor.stream("SELECT a FROM t WHERE a > 9")]
            async with connection.cursor("named") as named:
                await named.execute("SELECT a FROM t")
                rows += await named.fetchall()
            await connection.commit()
            await connection.rollback()
        try:
            await psycopg.AsyncConnection.connect(REFUSED)
        except psycopg.OperationalError as error:
            rows.append(type(error).__name__)
        return copied, rows, none

    return asyncio.run(ask())


@step
def psycopg_asyncio_pool_of_one() -> Any:
    async def ask() -> Any:
        said = []
        pool = psycopg_pool.AsyncConnectionPool(DSN, min_size=1, max_size=1, open=False)
        await pool.open(wait=True)
        try:
            for number in range(3):
                connection = await pool.getconn()
                cursor = await connection.execute("SELECT %s", (number,))
                said.append(await cursor.fetchone())
                await pool.putconn(connection)
            held = await pool.getconn()
            try:
                await pool.getconn(0.01)
            except psycopg_pool.PoolTimeout as error:
                said.append(type(error).__name__)
            await pool.putconn(held)
            await pool.resize(1, 2)
        finally:
            await pool.close()
        return said

    return asyncio.run(ask())


@step
def sqlalchemy_pool_of_one() -> Any:
    made = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    engine = sqlalchemy.create_engine(DSN.replace("postgresql:", "postgresql+psycopg2:"), **made)
    text = sqlalchemy.text
    said: list[Any] = []
    try:
        for number in range(3):
            with engine.begin() as connection:
                said.append(connection.execute(text("SELECT :n"), {"n": number}).scalar())
        with engine.connect() as connection:
            full = told(engine.connect)[0]
            connection.invalidate()
        with engine.connect() as connection:
            connection.detach()
        wrong = told(lambda: engine.connect().execute(text("SELECT nothing")))[0]
        return said, full, wrong
    finally:
        engine.dispose()


@step
def sqlalchemy_of_another_driver() -> Any:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.QueuePool, pool_size=1)
    text = sqlalchemy.text
    said = []
    for number in range(3):
        with engine.begin() as connection:
            said.append(connection.execute(text("SELECT :n"), {"n": number}).scalar())
    with engine.connect() as connection:
        said.append(told(connection.execute, text("SELECT nothing"))[0])
        connection.invalidate(sqlite3.OperationalError("gone"))
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (a int)"))
        connection.execute(text("INSERT INTO t VALUES (:a)"), [{"a": 1}, {"a": 2}])
        said.append(connection.execute(text("SELECT sum(a) FROM t")).scalar())
    engine.dispose()
    return said


@step
def sqlalchemy_thread_pool() -> Any:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.SingletonThreadPool)
    with engine.connect() as connection:
        said = connection.execute(sqlalchemy.text("SELECT 1")).scalar()
    engine.dispose()
    return said
