"""psycopg2.pool, measured in applications of their own on a real PostgreSQL."""

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

NAME = "postgres"
KINDS = ["SimpleConnectionPool", "ThreadedConnectionPool"]


@pytest.fixture
def run(application, postgres):
    """Runs a script that has `dsn` and the pool classes."""
    head = f"""
import psycopg2
from psycopg2.pool import *
dsn = {postgres.dsn!r}
"""

    def run_script(script, *imported_before):
        return application(head + textwrap.dedent(script), *imported_before)

    return run_script


@pytest.mark.parametrize("imported_before", [[], ["psycopg2.pool"]])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gauges_follow_the_pool(run, kind, imported_before):
    """Checked out, share, most and least are those of the pool after each checkout and return."""
    outcome = run(
        f"""
        pool = {kind}(1, 4, dsn)
        held = [pool.getconn() for _ in range(3)]
        pool.putconn(held.pop())
        """,
        *imported_before,
    )
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 2}
    assert outcome.of(DB_POOL_UTILIZATION_PERCENT) == {NAME: 50}
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 4}
    assert outcome.of(DB_POOL_MIN_CONNECTIONS) == {NAME: 1}
    assert outcome.of(DB_POOL_OPEN_CONNECTIONS) == {NAME: 3}
    assert outcome.of(DB_POOL_WAITING) == {NAME: 0}
    assert outcome.of(DB_POOL_IDLE_TIMEOUT_MS) == {}
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 3}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("dsn, connect_timeout=3", {NAME: 3000}),
        ("dsn + '?connect_timeout=7'", {NAME: 7000}),
        ("dsn, connect_timeout=0", {}),
    ],
)
def test_the_connection_timeout_is_libpqs(run, arguments, expected):
    """psycopg2.pool never waits for a connection; how long a new one may take is in its DSN."""
    outcome = run(f"pool = SimpleConnectionPool(1, 4, {arguments})")
    assert outcome.of(DB_POOL_CONNECTION_TIMEOUT_MS) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_pool_stops_counting(run, kind):
    """After closeall nothing is checked out and nothing is allowed."""
    outcome = run(f"pool = {kind}(1, 4, dsn); pool.getconn(); pool.closeall()")
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 0}
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 0}


def test_a_pool_that_is_garbage_stops_counting(run):
    """A pool that nobody holds any more is forgotten when the gauges are refreshed."""
    outcome = run("pool = SimpleConnectionPool(1, 4, dsn); pool.getconn(); del pool; poll()")
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 0}
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 0}


def test_a_pool_that_is_garbage_closes_its_connections(run):
    """Nothing of what measures it keeps them open at the server."""
    outcome = run(
        """
        import gc, weakref
        pool = ThreadedConnectionPool(2, 4, dsn)
        pool.putconn(pool.getconn())
        connections = [weakref.ref(each) for each in pool._pool]
        del pool
        gc.collect()
        said["left"] = [each() is not None for each in connections]
        """
    )
    assert outcome.said["left"] == [False, False]


def test_pools_of_one_database_add_up_and_the_worst_share_shows(run):
    """Counts are added; the share is that of the fuller pool."""
    outcome = run(
        """
        one, two = ThreadedConnectionPool(0, 2, dsn), SimpleConnectionPool(1, 8, dsn)
        held = one.getconn(), one.getconn(), two.getconn()
        """
    )
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 3}
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 10}
    assert outcome.of(DB_POOL_UTILIZATION_PERCENT) == {NAME: 100}


@pytest.mark.parametrize("kind", KINDS)
def test_an_exhausted_pool_is_an_error(run, kind):
    """The application gets the pool's own exception; it is one error of type pool_exhausted."""
    outcome = run(
        f"""
        pool = {kind}(0, 1, dsn)
        pool.getconn()
        try:
            pool.getconn()
        except PoolError as error:
            said["error"] = str(error)
        """
    )
    assert outcome.said == {"error": "connection pool exhausted"}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {"pool_exhausted": 1}
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 1}


BLOCKING = """
import threading
class BlockingPool(ThreadedConnectionPool):
    def __init__(self, minconn, maxconn, *args, **kwargs):
        self.slots = threading.Semaphore(maxconn)
        super().__init__(minconn, maxconn, *args, **kwargs)

    def getconn(self, key=None, timeout=10):
        if not self.slots.acquire(timeout=timeout):
            raise TimeoutError("no connection")
        return super().getconn(key)

    def putconn(self, *args, **kwargs):
        super().putconn(*args, **kwargs)
        self.slots.release()
"""


def test_a_pool_that_waits_is_measured_from_outside_and_once(run):
    """The outermost getconn of a subclass is the checkout, its wait for a free slot included."""
    outcome = run(
        BLOCKING
        + """
pool = BlockingPool(1, 2, dsn)
def work(_):
    connection = pool.getconn()
    connection.cursor().execute("SELECT pg_sleep(0.01)")
    pool.putconn(connection)

from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as threads:
    list(threads.map(work, range(40)))
"""
    )
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 40}
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 0}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {}


def test_who_waits_for_a_full_pool_shows(run):
    """A checkout that others must return a connection for first is one that waits."""
    outcome = run(
        BLOCKING
        + """
import time
pool = BlockingPool(1, 1, dsn)
held = pool.getconn()
waiter = threading.Thread(target=lambda: pool.putconn(pool.getconn()))
waiter.start()
waits = lambda: [value for name, labels, value in recorded() if name == "db_pool_waiting"]
while waits() != [1]:
    time.sleep(0.01)
pool.putconn(held)
waiter.join()
said["after"] = waits()
"""
    )
    assert outcome.said == {"after": [0]}


def test_a_wait_in_vain_is_an_exhausted_pool(run):
    """Whatever a subclass raises while the pool is full, the pool is exhausted."""
    outcome = run(
        BLOCKING
        + """
pool = BlockingPool(1, 1, dsn)
pool.getconn()
try:
    pool.getconn(timeout=0.01)
except TimeoutError:
    said["raised"] = True
"""
    )
    assert outcome.said == {"raised": True}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {"pool_exhausted": 1}
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 2}


def test_a_checkout_written_as_context_manager_is_measured_where_it_happens(run):
    """A getconn that only makes a context manager has not checked out anything yet."""
    outcome = run(
        """
        from contextlib import contextmanager
        class Pool(ThreadedConnectionPool):
            @contextmanager
            def getconn(self):
                connection = super().getconn()
                try:
                    yield connection
                finally:
                    self.putconn(connection)

        pool = Pool(1, 2, dsn)
        with pool.getconn() as connection:
            said["inside"] = recorded()
        """
    )
    inside = {(name, *labels): value for name, labels, value in outcome.said["inside"]}
    assert inside[DB_ACTIVE_CONNECTIONS.name, NAME] == 1
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {NAME: 0}
    assert outcome.of(DB_CONNECTION_WAIT_TIME_MS) == {NAME: 1}


def test_a_pool_that_cannot_connect_counts_the_reason(run):
    """A checkout that fails to connect is an error of the connection, not of the pool."""
    outcome = run(
        """
        pool = SimpleConnectionPool(0, 1, dsn, dbname="no_such_database")
        try:
            pool.getconn()
        except psycopg2.OperationalError:
            said["raised"] = True
        """
    )
    assert outcome.said == {"raised": True}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {"other": 1}
    assert outcome.of(DB_ACTIVE_CONNECTIONS) == {"no_such_database": 0}


@pytest.mark.parametrize(
    "arguments",
    [
        "dsn",
        "dsn=dsn",
        "**psycopg2.extensions.parse_dsn(dsn)",
        "dsn, password='hidden'",
        "dsn, connection_factory=psycopg2.extensions.connection",
    ],
)
@pytest.mark.parametrize("least", [0, 1])
def test_a_pool_is_named_after_its_database(run, least, arguments):
    """However it was told, the label is the database's name and nothing else."""
    outcome = run(f"pool = SimpleConnectionPool({least}, 1, {arguments}); pool.getconn()")
    assert outcome.of(DB_POOL_MAX_CONNECTIONS) == {NAME: 1}


def test_a_forked_child_shows_its_pools_anew(run):
    """Gauges live in a process's own segment: a child announces the pools that it has."""
    outcome = run(
        """
        import os
        pool = ThreadedConnectionPool(1, 4, dsn)
        ready, go = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            psycopg2.connect(dsn).cursor().execute("SELECT 1")
            os.write(ready[1], b".")
            os.read(go[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        said["both"] = recorded()
        os.write(go[1], b".")
        os.waitpid(child, 0)
        """
    )
    both = {(name, *labels): value for name, labels, value in outcome.said["both"]}
    assert both[DB_POOL_MAX_CONNECTIONS.name, NAME] == 8


def test_subclass_and_class_look_as_before(run):
    """Names, documentation and class relations of the pools are untouched."""
    outcome = run(
        """
        import pickle
        from psycopg2 import pool
        checks = [
            pool.ThreadedConnectionPool.getconn.__name__ == "getconn",
            pool.ThreadedConnectionPool.getconn.__doc__.startswith("Get a free"),
            pool.SimpleConnectionPool.getconn.__qualname__ == "AbstractConnectionPool._getconn",
            pickle.loads(pickle.dumps(pool.ThreadedConnectionPool)) is pool.ThreadedConnectionPool,
            set(vars(pool.SimpleConnectionPool(0, 1, dsn)))
            == {"minconn", "maxconn", "closed", "_args", "_kwargs", "_pool", "_used", "_rused", "_keys"},
        ]
        said["wrong"] = [n for n, right in enumerate(checks) if not right]
        """
    )
    assert outcome.said == {"wrong": []}
