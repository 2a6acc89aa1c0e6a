"""psycopg2, measured in applications of their own on a real PostgreSQL."""

import textwrap

import pytest

from otel_accubooks.contract.metrics import (
    CONNECTION_ERRORS,
    DB_CONNECTION_ERRORS_TOTAL,
    DB_QUERY_DURATION_MS,
    SYSTEM_HEALTH_STATUS,
)
from otel_accubooks.instrument.database_errors import error_type
from otel_accubooks.stack.ports import free_port


@pytest.fixture
def run(application, postgres):
    """Runs a script that has `dsn`, and a table t(a, b) of its own."""
    head = f"""
import psycopg2
dsn = {postgres.dsn!r}
"""

    def run_script(script, *imported_before, **environ):
        return application(head + textwrap.dedent(script), *imported_before, **environ)

    return run_script


CONNECTED = """
import psycopg2.extras, psycopg2.sql, io
connection = psycopg2.connect(dsn)
cursor = connection.cursor()
CREATE = "CREATE TEMPORARY TABLE t (a int, b text)"
"""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("cursor.execute('SELECT 1')", {"SELECT": 1}),
        ("cursor.execute(query='select %s', vars=(1,))", {"SELECT": 1}),
        (
            "cursor.execute(psycopg2.sql.SQL('SELECT {}').format(psycopg2.sql.Literal(1)))",
            {"SELECT": 1},
        ),
        ("cursor.execute(b'SELECT 1'); cursor.execute('SELECT 1')", {"SELECT": 2}),
        (
            "cursor.execute(CREATE); cursor.executemany('INSERT INTO t VALUES (%s)', [(1,), (2,)])",
            {"CREATE": 1, "INSERT": 1},
        ),
        ("cursor.callproc('upper', ['a'])", {"CALL": 1}),
        (
            """
            cursor.execute(CREATE)
            cursor.copy_from(io.StringIO("1\\ta\\n"), "t", columns=("a", "b"))
            cursor.copy_to(io.StringIO(), "t")
            cursor.copy_expert("COPY t TO STDOUT", io.StringIO())
            """,
            {"CREATE": 1, "COPY": 3},
        ),
        (
            """
            cursor.execute(CREATE)
            rows = [(n, "x") for n in range(250)]
            psycopg2.extras.execute_values(cursor, "INSERT INTO t VALUES %s", rows, page_size=100)
            psycopg2.extras.execute_batch(cursor, "UPDATE t SET b = %s", [("y",)] * 4, page_size=2)
            """,
            {"CREATE": 1, "INSERT": 3, "UPDATE": 2},
        ),
        ("with connection.cursor('named') as named: named.execute('SELECT 1')", {"SELECT": 1}),
        ("with connection: cursor.execute('SELECT 1')", {"SELECT": 1}),
    ],
)
def test_each_call_that_sends_sql_is_one_observation(run, script, expected):
    """Whatever the way, a call is counted once, under the verb of its statement."""
    assert run(CONNECTED + textwrap.dedent(script)).counted(DB_QUERY_DURATION_MS) == expected


@pytest.mark.parametrize("imported_before", [[], ["psycopg2"], ["psycopg2.extras"]])
@pytest.mark.parametrize(
    "make_cursor",
    [
        "psycopg2.connect(dsn).cursor()",
        "psycopg2.connect(dsn).cursor(cursor_factory=extras.RealDictCursor)",
        "psycopg2.connect(dsn).cursor('name', extras.DictCursor)",
        "psycopg2.connect(dsn, cursor_factory=extras.NamedTupleCursor).cursor()",
        "psycopg2.connect(dsn, connection_factory=extras.RealDictConnection).cursor()",
        "logging_connection().cursor()",
        "psycopg2.connect(dsn, connection_factory=Mine).cursor()",
        "psycopg2.connect(dsn, connection_factory=lambda *a, **k: Mine(*a, **k)).cursor()",
        "psycopg2.connect(dsn).cursor(cursor_factory=lambda *a: MyCursor(*a))",
        "psycopg2.extensions.connection(dsn).cursor()",
    ],
)
def test_every_kind_of_cursor_is_measured(run, make_cursor, imported_before):
    """Factories of psycopg2.extras and of the application are measured, whenever they were made."""
    outcome = run(
        f"""
        import io
        from psycopg2 import extensions, extras

        class MyCursor(extensions.cursor):
            def execute(self, query, vars=None):
                super().execute(query, vars)

        class Mine(extensions.connection):
            def cursor(self, *args, **kwargs):
                kwargs.setdefault("cursor_factory", MyCursor)
                return super().cursor(*args, **kwargs)

        def logging_connection():
            connection = psycopg2.connect(dsn, connection_factory=extras.LoggingConnection)
            connection.initialize(io.StringIO())
            return connection

        cursor = {make_cursor}
        cursor.execute("SELECT 1 AS one")
        row = cursor.fetchone()
        said["one"] = row["one"] if isinstance(row, dict) else row[0]
        """,
        *imported_before,
    )
    assert outcome.counted(DB_QUERY_DURATION_MS) == {"SELECT": 1}
    assert outcome.said == {"one": 1}


def test_raw_types_of_the_driver_still_work(run):
    """A factory of the C types themselves, as somebody may have kept them, is not broken."""
    outcome = run(
        """
        base = psycopg2.extensions.cursor.__mro__[1]
        connection = psycopg2.connect(dsn)
        cursor = connection.cursor(cursor_factory=base)
        cursor.execute("SELECT 1")
        raw = psycopg2.connect(dsn, connection_factory=psycopg2.extensions.connection.__mro__[1])
        raw.cursor().execute("SELECT 2")
        said["types"] = [type(cursor) is base, type(raw.cursor()) is base]
        """
    )
    assert outcome.said == {"types": [True, True]}


def test_the_classes_look_as_before(run):
    """Names, modules, documentation, layout, isinstance and pickling are those of the driver."""
    outcome = run(
        """
        import pickle, weakref
        from psycopg2 import _psycopg, extensions, extras
        connection = psycopg2.connect(dsn)
        cursor = connection.cursor()
        checks = {}
        for one, kind in ((connection, extensions.connection), (cursor, extensions.cursor)):
            name = kind.__name__
            checks[f"{name} type"] = type(one) is kind
            checks[f"{name} name"] = kind.__qualname__ in ("connection", "cursor")
            checks[f"{name} module"] = kind.__module__ == "psycopg2.extensions"
            checks[f"{name} doc"] = kind.__doc__ == kind.__mro__[1].__doc__
            checks[f"{name} pickle"] = pickle.loads(pickle.dumps(kind)) is kind
            checks[f"{name} weakref"] = weakref.ref(one)() is one
            checks[f"{name} no dict"] = not hasattr(one, "__dict__")
            checks[f"{name} same in C"] = getattr(_psycopg, name) is kind
        checks["method name"] = cursor.execute.__name__ == "execute"
        checks["method doc"] = cursor.execute.__doc__.startswith("execute(query")
        checks["factory"] = connection.cursor_factory is None
        checks["replication"] = issubclass(extras.LogicalReplicationConnection, extensions.connection)
        checks["replication cursor"] = issubclass(extras.ReplicationCursor, extensions.cursor)
        checks["connect"] = psycopg2._connect.__name__ == "_connect"
        said["wrong"] = [name for name, right in checks.items() if not right]
        """
    )
    assert outcome.said == {"wrong": []}


def test_a_failed_query_is_counted_and_its_exception_is_untouched(run):
    """The application gets the driver's own exception, with its SQLSTATE and cursor."""
    outcome = run(
        """
        connection = psycopg2.connect(dsn)
        cursor = connection.cursor()
        try:
            cursor.execute("SELECT * FROM nowhere")
        except psycopg2.errors.UndefinedTable as error:
            said["state"] = error.pgcode, error.cursor is cursor, error.__context__ is None
        """
    )
    assert outcome.said == {"state": ["42P01", True, True]}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {"SELECT": 1}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {}


def test_an_exception_of_a_signal_reaches_the_application(run):
    """A time limit that a signal raises while the database works is passed on."""
    outcome = run(
        """
        import signal
        class JobTimeout(Exception):
            pass
        def ring(*_):
            raise JobTimeout
        signal.signal(signal.SIGALRM, ring)
        cursor = psycopg2.connect(dsn).cursor()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            cursor.execute("SELECT pg_sleep(0.2)")
        except JobTimeout:
            said["raised"] = True
        """
    )
    assert outcome.said == {"raised": True}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {"SELECT": 1}


def test_an_asynchronous_connection_works(run):
    """It is polled by the application, as before."""
    outcome = run(
        """
        from psycopg2.extras import wait_select
        connection = psycopg2.connect(dsn, async_=True)
        wait_select(connection)
        cursor = connection.cursor()
        cursor.execute("SELECT 7")
        wait_select(connection)
        said["row"] = cursor.fetchone()
        """
    )
    assert outcome.said == {"row": [7]}


def test_every_error_type_exists_at_zero(run):
    """A first error is growth, since its series was there before."""
    outcome = run("psycopg2.connect(dsn).cursor().execute('SELECT 1')")
    assert outcome.of(DB_CONNECTION_ERRORS_TOTAL) == dict.fromkeys(CONNECTION_ERRORS, 0)


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ("psycopg2.connect(dsn, port=closed)", "refused"),
        ("psycopg2.connect(dbname='x', user='x', host='/nowhere')", "refused"),
        ("psycopg2.connect(dsn, host='no-such-host.invalid')", "dns"),
        ("psycopg2.connect(dsn, port=silent.getsockname()[1], connect_timeout=2)", "timeout"),
        ("psycopg2.connect(dsn, user='nobody_known')", "authentication"),
        ("psycopg2.connect(dsn, user='narrow')", "too_many_connections"),
        ("psycopg2.connect(dsn, dbname='no_such_database')", "other"),
        ("lose().execute('SELECT 1')", "connection_lost"),
        ("lose().connection.commit()", "connection_lost"),
    ],
)
def test_connection_errors_are_counted_by_type(run, attempt, expected):
    """Each failed attempt, and each connection that the server ended, is one error."""
    outcome = run(
        f"""
        import socket
        from psycopg2 import OperationalError
        closed = {free_port()}
        silent = socket.create_server(("127.0.0.1", 0))
        admin = psycopg2.connect(dsn)
        admin.autocommit = True
        admin.cursor().execute(
            "DO 'BEGIN CREATE ROLE narrow LOGIN CONNECTION LIMIT 0; EXCEPTION WHEN others THEN END'"
        )

        def lose():
            cursor = psycopg2.connect(dsn).cursor()
            cursor.execute("SELECT pg_backend_pid()")
            admin.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())
            return cursor

        try:
            {attempt}
        except OperationalError:
            said["raised"] = True
        """
    )
    assert outcome.said == {"raised": True}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {expected: 1}


def test_a_lost_connection_is_counted_once(run):
    """Further calls on it fail, too, but it was lost only once."""
    outcome = run(
        """
        admin = psycopg2.connect(dsn).cursor()
        cursor = psycopg2.connect(dsn).cursor()
        cursor.execute("SELECT pg_backend_pid()")
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())
        for _ in range(3):
            try:
                cursor.execute("SELECT 1")
            except psycopg2.Error:
                pass
        """
    )
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {"connection_lost": 1}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("FATAL:  sorry, too many clients already", "too_many_connections"),
        ("FATAL:  remaining connection slots are reserved", "too_many_connections"),
        ('FATAL:  password authentication failed for user "a"', "authentication"),
        ('FATAL:  no pg_hba.conf entry for host "::1"', "authentication"),
        ("could not connect to server: Connection timed out\n\tIs the server running", "timeout"),
        ("FATAL:  the database system is starting up", "refused"),
        ("server closed the connection unexpectedly", "connection_lost"),
        ("SSL error: certificate verify failed", "other"),
    ],
)
def test_the_message_tells_the_error_type(message, expected):
    """libpq gives no SQLSTATE for an attempt that failed."""
    assert error_type(Exception(message)) == expected


def test_health_follows_the_database_and_is_not_measured(run):
    """The database is asked past everything that is measured; 1 while it answers, else 0."""
    outcome = run(
        """
        from tempfile import mkdtemp
        from pathlib import Path
        from otel_accubooks.stack.postgres import Postgres
        with Postgres(Path(mkdtemp())) as server:
            psycopg2.connect(server.dsn).close()
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


def test_a_database_that_was_never_up_is_ill_health(run):
    """An application that cannot reach its database from the start is unhealthy."""
    outcome = run(
        f"""
        try:
            psycopg2.connect(dsn, port={free_port()})
        except psycopg2.OperationalError:
            poll()
        """
    )
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 0}


def test_a_server_that_hangs_is_ill_health(run):
    """Asking has a time limit of its own, also where the server accepts and then says nothing."""
    outcome = run(
        """
        import socket
        silent = socket.create_server(("127.0.0.1", 0))
        try:
            psycopg2.connect(dsn, port=silent.getsockname()[1], connect_timeout=2)
        except psycopg2.OperationalError:
            poll()
        """
    )
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 0}
