"""psycopg_pool, measured in applications of their own on a real PostgreSQL."""

import textwrap

import pytest

from otel_accubooks.contract.metrics import (
    DB_ACTIVE_CONNECTIONS,
    DB_CONNECTION_ERRORS_TOTAL,
    DB_CONNECTION_WAIT_TIME_MS,
    DB_POOL_MAX_CONNECTIONS,
    DB_POOL_MIN_CONNECTIONS,
    DB_POOL_UTILIZATION_PERCENT,
)
from otel_accubooks.contract.unsent import (
    DB_POOL_CONNECTION_TIMEOUT_MS,
    DB_POOL_IDLE_TIMEOUT_MS,
    DB_POOL_OPEN_CONNECTIONS,
    DB_POOL_WAITING,
)
from otel_accubooks.stack.ports import free_port

NAME = "postgres"


@pytest.fixture
def run(application, postgres):
    """Runs a script that has `dsn`, the pools, and asyncio."""
    head = f"""
import asyncio
import psycopg
from psycopg_pool import *
dsn = {postgres.dsn!r}
"""

    def run_script(script, *imported_before):
        return application(head + textwrap.dedent(script), *imported_before)

    return run_script


SYNC = """
pool = ConnectionPool(dsn, min_size=1, max_size=4, max_idle=30, timeout=60, open=True)
pool.wait()
held = [pool.getconn() for _ in range(3)]
pool.putconn(held.pop())
"""
ASYNC = """
async def work():
    async with AsyncConnectionPool(dsn, min_size=1, max_size=4, max_idle=30, timeout=60) as pool:
        await pool.wait()
        held = [await pool.getconn() for _ in range(3)]
        await pool.putconn(held.pop())
        said["recorded"] = recorded()

asyncio.run(work())
"""


@pytest.mark.parametrize(
    ("script", "imported_before"),
    [
        (SYNC + "said['recorded'] = recorded(); pool.close()", []),
        (ASYNC, []),
        (ASYNC, ["psycopg_pool"]),
    ],
)
def test_the_gauges_follow_the_pool(run, script, imported_before):
    """What is out, open, allowed and configured is that of the pool; nothing once it is closed."""
    outcome = run(script, *imported_before)
    inside = {(name, *labels): value for name, labels, value in outcome.said["recorded"]}
    assert {name: inside.get((name.name, NAME)) for name in GAUGES} == {
        DB_ACTIVE_CONNECTIONS: 2,
        DB_POOL_UTILIZATION_PERCENT: 50,
        DB_POOL_MAX_CONNECTIONS: 4,
        DB_POOL_MIN_CONNECTIONS: 1,
        DB_POOL_OPEN_CONNECTIONS: 3,
        DB_POOL_WAITING: 0,
        DB_POOL_IDLE_TIMEOUT_MS: 30_000,
        DB_POOL_CONNECTION_TIMEOUT_MS: 60_000,
    }
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 3}
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 0}
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 0}
    assert outcome.of(DB_POOL_OPEN_CONNECTIONS) == {NAME: 0}


GAUGES = (
    DB_ACTIVE_CONNECTIONS,
    DB_POOL_UTILIZATION_PERCENT,
    DB_POOL_MAX_CONNECTIONS,
    DB_POOL_MIN_CONNECTIONS,
    DB_POOL_OPEN_CONNECTIONS,
    DB_POOL_WAITING,
    DB_POOL_IDLE_TIMEOUT_MS,
    DB_POOL_CONNECTION_TIMEOUT_MS,
)


@pytest.mark.parametrize("by", ["", "conn="])
def test_a_connection_may_be_given_back_by_name(run, by):
    """The argument is the pool's own, however it is passed."""
    outcome = run(
        f"""
        with ConnectionPool(dsn, min_size=1, max_size=2) as pool:
            for _ in range(3):
                pool.putconn({by}pool.getconn())
            said["inside"] = recorded()
        async def work():
            async with AsyncConnectionPool(dsn, min_size=1, max_size=2) as pool:
                await pool.putconn({by}await pool.getconn())
                said["async"] = recorded()
        asyncio.run(work())
        """
    )
    for seen in ("inside", "async"):
        inside = {(name, *labels): value for name, labels, value in outcome.said[seen]}
        assert inside[DB_ACTIVE_CONNECTIONS.name, NAME] == 0
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 4}


def test_checkouts_of_many_threads_are_counted_and_all_come_back(run):
    """Threads wait for each other's connections: each checkout is one, and nothing stays out."""
    outcome = run(
        """
        from concurrent.futures import ThreadPoolExecutor
        checked = []
        with ConnectionPool(
            dsn, min_size=2, max_size=3, check=lambda c: checked.append(c), reset=lambda c: None
        ) as pool:
            def work(_):
                with pool.connection() as connection:
                    connection.execute("SELECT pg_sleep(0.005)")
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(work, range(60)))
            said["checks"] = len(checked)
            said["inside"] = recorded()
        """
    )
    inside = {(name, *labels): value for name, labels, value in outcome.said["inside"]}
    assert outcome.said["checks"] == 60
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 60}
    assert inside[DB_ACTIVE_CONNECTIONS.name, NAME] == 0
    assert inside[DB_POOL_WAITING.name, NAME] == 0
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {}


def test_who_waits_shows_and_a_wait_in_vain_is_an_exhausted_pool(run):
    """A checkout of a full pool waits; its end in vain, or a refusal to queue, is pool_exhausted."""
    outcome = run(
        """
        import threading, time
        with ConnectionPool(dsn, min_size=1, max_size=1, max_waiting=1) as pool:
            held = pool.getconn()
            waiter = threading.Thread(target=lambda: pool.putconn(pool.getconn()))
            waiter.start()
            while not pool.get_stats()["requests_waiting"]:
                time.sleep(0.01)
            said["waiting"] = recorded()
            try:
                pool.getconn()
            except TooManyRequests:
                said["refused"] = True
            pool.putconn(held)
            waiter.join()
            held = pool.getconn()
            try:
                pool.getconn(timeout=0.05)
            except PoolTimeout:
                said["in vain"] = True
            said["after"] = recorded()
            pool.putconn(held)

        async def work():
            async with AsyncConnectionPool(dsn, min_size=1, max_size=1) as pool:
                async with pool.connection():
                    task = asyncio.create_task(pool.getconn())
                    while not pool.get_stats()["requests_waiting"]:
                        await asyncio.sleep(0.01)
                    task.cancel()
                    try:
                        await task
                    except asyncio.CancelledError:
                        said["cancelled"] = True
                    try:
                        await pool.getconn(timeout=0.05)
                    except PoolTimeout:
                        pass
        asyncio.run(work())
        """
    )
    waiting = {(name, *labels): value for name, labels, value in outcome.said.pop("waiting")}
    after = {(name, *labels): value for name, labels, value in outcome.said.pop("after")}
    assert waiting[DB_POOL_WAITING.name, NAME] == 1
    assert waiting[DB_POOL_UTILIZATION_PERCENT.name, NAME] == 100
    assert after[DB_POOL_WAITING.name, NAME] == 0
    assert after[DB_ACTIVE_CONNECTIONS.name, NAME] == 1
    assert outcome.said == {"refused": True, "in vain": True, "cancelled": True}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {"pool_exhausted": 3}
    assert outcome.of(DB_POOL_WAITING) == {NAME: 0}
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 0}


def test_a_null_pool_is_measured(run):
    """It keeps nothing open; without a limit it has neither a largest size nor a share."""
    outcome = run(
        """
        pool = NullConnectionPool(dsn, max_size=2, open=True)
        with pool.connection():
            said["limited"] = recorded()
        pool.close()
        """
    )
    limited = {(name, *labels): value for name, labels, value in outcome.said["limited"]}
    assert limited[DB_ACTIVE_CONNECTIONS.name, NAME] == 1
    assert limited[DB_POOL_UTILIZATION_PERCENT.name, NAME] == 50
    assert limited[DB_POOL_MIN_CONNECTIONS.name, NAME] == 0
    assert limited[DB_POOL_OPEN_CONNECTIONS.name, NAME] == 1
    assert outcome.of(DB_POOL_OPEN_CONNECTIONS) == {NAME: 0}


def test_workers_of_the_pool_count_why_they_cannot_connect(run):
    """A database that is away is told by its attempts; the checkout in vain is pool_exhausted."""
    outcome = run(
        f"""
        import logging, time
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        pool = ConnectionPool(dsn, kwargs={{"port": {free_port()}}}, min_size=1, open=True)
        try:
            pool.getconn(timeout=0.5)
        except PoolTimeout:
            said["in vain"] = True
        while ["db_connection_errors_total", ["refused"], 0.0] in recorded():
            time.sleep(0.01)
        pool.close()
        """
    )
    assert outcome.said == {"in vain": True}
    assert set(outcome.counted(DB_CONNECTION_ERRORS_TOTAL)) == {"refused", "pool_exhausted"}


@pytest.mark.parametrize(
    "arguments",
    [
        "dsn",
        "kwargs=psycopg.conninfo.conninfo_to_dict(dsn)",
        "dsn, kwargs={'password': 'hidden'}",
    ],
)
def test_a_pool_is_named_after_its_database(run, arguments):
    """However it was told, the label is the database's name and nothing else, from its opening on."""
    outcome = run(f"pool = ConnectionPool({arguments}, open=True)")
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 4}


def test_a_pool_opens_later_and_is_resized(run):
    """A pool counts once it is open, with the size that it has by then; its class looks as before."""
    outcome = run(
        """
        import inspect
        pool = ConnectionPool(dsn, min_size=1, max_size=2, open=False)
        try:
            pool.getconn()
        except PoolClosed:
            said["closed"] = [value for name, _, value in recorded() if "max_connections" in name]
        pool.open(wait=True)
        pool.resize(2, 7)
        with pool.connection() as connection:
            said["same"] = connection is not None and connection._pool is pool
        checks = [
            "min_size" in inspect.signature(ConnectionPool).parameters,
            inspect.iscoroutinefunction(AsyncConnectionPool.getconn),
            ConnectionPool.getconn.__doc__.strip().startswith("Obtain"),
            isinstance(pool, ConnectionPool),
        ]
        said["wrong"] = [n for n, right in enumerate(checks) if not right]
        """
    )
    assert outcome.said == {"closed": [], "same": True, "wrong": []}
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 7}
    assert outcome.of(DB_POOL_MIN_CONNECTIONS) == {NAME: 2}
