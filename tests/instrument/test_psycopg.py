"""psycopg 3, measured in applications of their own on a real PostgreSQL."""

import textwrap

import pytest

from otel_accubooks.contract.metrics import (
    CONNECTION_ERRORS,
    DB_CONNECTION_ERRORS_TOTAL,
    DB_QUERY_DURATION_MS,
    SYSTEM_HEALTH_STATUS,
)
from otel_accubooks.stack.ports import free_port

CREATE = "CREATE TEMPORARY TABLE t (a int, b text)"


@pytest.fixture
def run(application, postgres):
    """Runs a script that has `dsn`, `CREATE` for a table t(a, b), and asyncio."""
    head = f"""
import asyncio
import psycopg
from psycopg import sql
dsn = {postgres.dsn!r}
CREATE = {CREATE!r}
"""

    def run_script(script, *imported_before, **environ):
        return application(head + textwrap.dedent(script), *imported_before, **environ)

    return run_script


SYNC = """
with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT 1")
    cursor.execute(query="select %s", params=(1,))
    cursor.execute(sql.SQL("SELECT {}").format(sql.Literal(1)))
    cursor.execute(b"SELECT 1")
    connection.execute(CREATE)
    cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,), (3,)])
    with cursor.copy("COPY t (a) FROM STDIN") as copy:
        copy.write_row([4])
    with cursor.copy("COPY t (a) TO STDOUT") as copy:
        said["copied"] = sorted(int(row[0]) for row in copy.rows())
    said["streamed"] = [row[0] for row in cursor.stream("VALUES (1), (2)")]
    said["nothing"] = list(cursor.stream("SELECT a FROM t WHERE false"))
    with connection.cursor("named") as named:
        named.execute("TABLE t")
        said["named"] = len(named.fetchall())
    with connection.pipeline():
        connection.execute("UPDATE t SET b = 'x'")
        connection.execute("UPDATE t SET b = 'y'")
        connection.execute("DELETE FROM t WHERE a = 1")
    connection.commit()
"""
ASYNC = """
async def work():
    async with await psycopg.AsyncConnection.connect(dsn) as connection, connection.cursor() as cursor:
        await cursor.execute("SELECT 1")
        await cursor.execute(query="select %s", params=(1,))
        await cursor.execute(sql.SQL("SELECT {}").format(sql.Literal(1)))
        await cursor.execute(b"SELECT 1")
        await connection.execute(CREATE)
        await cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,), (3,)])
        async with cursor.copy("COPY t (a) FROM STDIN") as copy:
            await copy.write_row([4])
        async with cursor.copy("COPY t (a) TO STDOUT") as copy:
            said["copied"] = sorted([int(row[0]) async for row in copy.rows()])
        said["streamed"] = [row[0] async for row in cursor.stream("VALUES (1), (2)")]
        said["nothing"] = [row async for row in cursor.stream("SELECT a FROM t WHERE false")]
        async with connection.cursor("named") as named:
            await named.execute("TABLE t")
            said["named"] = len(await named.fetchall())
        async with connection.pipeline():
            await connection.execute("UPDATE t SET b = 'x'")
            await connection.execute("UPDATE t SET b = 'y'")
            await connection.execute("DELETE FROM t WHERE a = 1")
        await connection.commit()

asyncio.run(work())
"""


@pytest.mark.parametrize("script", [SYNC, ASYNC])
@pytest.mark.parametrize("imported_before", [[], ["psycopg"]])
def test_each_call_that_sends_sql_is_one_observation(run, script, imported_before):
    """Whatever the way, a call is counted once, under the verb of its statement."""
    outcome = run(script, *imported_before)
    assert outcome.counted(DB_QUERY_DURATION_MS) == {
        "SELECT": 5,
        "CREATE": 1,
        "INSERT": 1,
        "COPY": 2,
        "VALUES": 1,
        "TABLE": 1,
        "UPDATE": 2,
        "DELETE": 1,
    }
    assert outcome.said == {
        "copied": [1, 2, 3, 4],
        "streamed": [1, 2],
        "nothing": [],
        "named": 4,
    }


def test_every_kind_of_cursor_is_measured_and_kept(run):
    """Cursor classes, factories and row factories of psycopg and of the application stay as given."""
    outcome = run(
        """
        from psycopg.rows import dict_row

        class Mine(psycopg.Cursor):
            def execute(self, *args, **kwargs):
                return super().execute(*args, **kwargs)

        class MyConnection(psycopg.Connection):
            @classmethod
            def connect(cls, *args, **kwargs):
                return super().connect(*args, cursor_factory=Mine, **kwargs)

        def one(connection):
            cursor = connection.execute("SELECT 1 AS one")
            return type(cursor), cursor.fetchone()

        rows = {"one": 1}
        checks = [
            one(psycopg.connect(dsn)) == (psycopg.Cursor, (1,)),
            one(psycopg.connect(dsn, row_factory=dict_row)) == (psycopg.Cursor, rows),
            one(psycopg.connect(dsn, cursor_factory=psycopg.ClientCursor)) == (psycopg.ClientCursor, (1,)),
            one(psycopg.connect(dsn, cursor_factory=psycopg.RawCursor)) == (psycopg.RawCursor, (1,)),
            one(psycopg.connect(dsn, cursor_factory=Mine)) == (Mine, (1,)),
            one(MyConnection.connect(conninfo=dsn)) == (Mine, (1,)),
        ]
        server = psycopg.RawServerCursor(psycopg.connect(dsn), "named")
        server.execute("SELECT $1::int", [7])
        checks.append(server.fetchone() == (7,))
        said["wrong"] = [n for n, right in enumerate(checks) if not right]
        """
    )
    assert outcome.said == {"wrong": []}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {"SELECT": 7}


def test_the_classes_look_as_before(run):
    """Names, documentation, signatures and kinds of functions are those of the driver."""
    outcome = run(
        """
        import inspect, pickle
        checks = {
            "connect": psycopg.connect == psycopg.Connection.connect,
            "class method": psycopg.Connection.connect.__self__ is psycopg.Connection,
            "signature": "autocommit" in inspect.signature(psycopg.connect).parameters,
            "doc": psycopg.Cursor.execute.__doc__.strip().startswith("Execute a query"),
            "name": psycopg.Cursor.copy.__qualname__ == "Cursor.copy",
            "coroutine": inspect.iscoroutinefunction(psycopg.AsyncCursor.execute),
            "async connect": inspect.iscoroutinefunction(psycopg.AsyncConnection.connect),
            "generator": inspect.isgeneratorfunction(psycopg.Cursor.stream),
            "async generator": inspect.isasyncgenfunction(psycopg.AsyncCursor.stream),
            "pickle": pickle.loads(pickle.dumps(psycopg.Cursor.execute)) is psycopg.Cursor.execute,
        }
        try:
            psycopg.connect(dsn).cursor().copy()
        except TypeError as error:
            checks["arguments"] = "statement" in str(error)
        said["wrong"] = [name for name, right in checks.items() if not right]
        """
    )
    assert outcome.said == {"wrong": []}


def test_a_failed_query_is_counted_and_its_exception_is_untouched(run):
    """The application gets the driver's own exception; a copy that it leaves by its own is one."""
    outcome = run(
        """
        connection = psycopg.connect(dsn, autocommit=True)
        try:
            connection.execute("SELECT * FROM nowhere")
        except psycopg.errors.UndefinedTable as error:
            said["state"] = error.sqlstate, error.__context__ is None
        try:
            list(connection.cursor().stream("SELECT * FROM nowhere"))
        except psycopg.errors.UndefinedTable as error:
            said["stream"] = error.sqlstate
        connection.execute(CREATE)
        try:
            with connection.cursor().copy("COPY t FROM STDIN"):
                raise KeyError("mine")
        except KeyError:
            said["copy"] = connection.info.transaction_status
        """
    )
    assert outcome.said == {"state": ["42P01", True], "stream": "42P01", "copy": 0}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {"SELECT": 2, "CREATE": 1, "COPY": 1}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {}


def test_a_stream_that_is_left_early_is_closed_at_once(run):
    """The connection works on as soon as the application closes the generator."""
    outcome = run(
        """
        connection = psycopg.connect(dsn)
        rows = connection.cursor().stream("SELECT generate_series(1, 100000)")
        said["first"] = next(rows)[0]
        rows.close()
        said["then"] = connection.info.transaction_status != psycopg.pq.TransactionStatus.ACTIVE

        async def work():
            connection = await psycopg.AsyncConnection.connect(dsn)
            rows = connection.cursor().stream("SELECT generate_series(1, 100000)")
            async for row in rows:
                break
            await rows.aclose()
            said["later"] = connection.info.transaction_status != psycopg.pq.TransactionStatus.ACTIVE
            await connection.close()

        asyncio.run(work())
        """
    )
    assert outcome.said == {"first": 1, "then": True, "later": True}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {"SELECT": 2}


def test_cancellation_passes_through(run):
    """A task that is cancelled while the database works ends as cancelled, and its query counts."""
    outcome = run(
        """
        async def work():
            connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
            task = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
            while connection.info.transaction_status != psycopg.pq.TransactionStatus.ACTIVE:
                await asyncio.sleep(0.01)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                said["cancelled"] = task.cancelled()
            await connection.close()

        asyncio.run(work())
        """
    )
    assert outcome.said == {"cancelled": True}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {"SELECT": 1}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {}


def test_connection_errors_are_counted_by_type(run):
    """Each failed attempt, and each connection that the server ended, is one error; each type is 0."""
    outcome = run(
        f"""
        import socket
        closed = {free_port()}
        silent = socket.create_server(("127.0.0.1", 0))
        admin = psycopg.connect(dsn, autocommit=True)
        try:
            admin.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        except psycopg.errors.DuplicateObject:
            pass
        said["zero"] = [[*labels, value] for name, labels, value in recorded() if "errors" in name]

        def lose():
            connection = psycopg.connect(dsn)
            connection.execute("SELECT 1")
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
            return connection

        async def attempt(**kwargs):
            await psycopg.AsyncConnection.connect(dsn, **kwargs)

        failing = [
            lambda: psycopg.connect(dsn, port=closed),
            lambda: psycopg.connect("", host="/nowhere", dbname="x", user="x"),
            lambda: psycopg.connect(dsn, host="no-such-host.invalid"),
            lambda: psycopg.connect(dsn, port=silent.getsockname()[1], connect_timeout=2),
            lambda: psycopg.connect(dsn, user="nobody_known"),
            lambda: psycopg.connect(dsn, user="crowded"),
            lambda: psycopg.connect(dsn, dbname="no_such_database"),
            lambda: asyncio.run(attempt(port=closed)),
            lambda: asyncio.run(attempt(host="no-such-host.invalid")),
            lambda: lose().execute("SELECT 1"),
        ]
        raised = 0
        for each in failing:
            try:
                each()
            except psycopg.OperationalError:
                raised += 1
        lost = lose()
        for end in (lost.commit, lost.rollback, lost.commit):
            try:
                end()
            except psycopg.OperationalError:
                raised += 1
        said["raised"] = raised > len(failing)
        """
    )
    assert outcome.said["raised"]
    assert outcome.said["zero"] == [[kind, 0] for kind in CONNECTION_ERRORS]
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {
        "refused": 3,
        "dns": 2,
        "timeout": 1,
        "authentication": 1,
        "too_many_connections": 1,
        "other": 1,
        "connection_lost": 2,
    }


def test_health_follows_the_database_and_is_not_measured(run):
    """The database is asked past everything that is measured; 1 while it answers, else 0."""
    outcome = run(
        """
        from tempfile import mkdtemp
        from pathlib import Path
        from otel_accubooks.stack.postgres import Postgres
        with Postgres(Path(mkdtemp())) as server:
            psycopg.connect(server.dsn, application_name="mine").close()
            poll()
            said["up"] = recorded()
        poll()
        """
    )
    up = {(name, *labels): value for name, labels, value in outcome.said["up"]}
    assert up[SYSTEM_HEALTH_STATUS.name,] == 1
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 0}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {}


def test_a_server_that_hangs_or_was_never_there_is_ill_health(run):
    """Asking has a time limit of its own, also where the server accepts and then says nothing."""
    outcome = run(
        f"""
        import socket
        silent = socket.create_server(("127.0.0.1", 0))
        for port in (silent.getsockname()[1], {free_port()}):
            try:
                psycopg.connect(dsn, port=port, connect_timeout=2)
            except psycopg.OperationalError:
                poll()
                said[len(said)] = [value for name, _, value in recorded() if "health_status" in name]
        """
    )
    assert outcome.said == {"0": [0], "1": [0]}
