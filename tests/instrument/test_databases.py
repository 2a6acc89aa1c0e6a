"""Which databases are asked, and for how long."""

import pytest

from otel_accubooks.contract.metrics import DB_CONNECTION_ERRORS_TOTAL, DB_QUERY_DURATION_MS
from otel_accubooks.instrument import databases as module
from otel_accubooks.instrument import guard
from otel_accubooks.instrument.databases import (
    MAX_DATABASES,
    UNUSED_SECONDS,
    Databases,
    Strings,
)


class Connection:
    pass


class Asked:
    """Stands where the questions of the process are kept."""

    def __init__(self):
        self.names = []

    def add(self, name, ask, component):
        if name not in self.names:
            self.names.append(name)

    def add_everywhere(self, name, ask, every):
        pass

    def forget(self, name):
        if name in self.names:
            self.names.remove(name)


@pytest.fixture
def asked(monkeypatch):
    """The names of what is asked; `asked.now` is the time."""
    asked = Asked()
    asked.now = 0.0
    monkeypatch.setattr(module, "polls", asked)
    monkeypatch.setattr(module, "monotonic", lambda: asked.now)
    return asked


def connect(seconds):
    raise AssertionError("nothing is asked here")


def test_a_database_that_nothing_uses_is_asked_no_more(asked):
    """After ten minutes without a connection it is forgotten, and asked again from its next use."""
    databases = Databases()
    databases.used("one", connect, Connection())
    asked.now = UNUSED_SECONDS - 1
    databases.look()
    assert asked.names == ["one"]
    asked.now = UNUSED_SECONDS + 1
    databases.look()
    assert asked.names == []
    databases.used("one", connect)
    assert asked.names == ["one"]


def test_a_connection_that_lives_on_keeps_its_database(asked):
    """A worker may hold one connection for days; its database is asked until that is gone."""
    databases = Databases()
    held = Connection()
    databases.used("one", connect, held)
    asked.now = 100 * UNUSED_SECONDS
    databases.look()
    assert asked.names == ["one"]
    del held
    databases.look()
    assert asked.names == []


def test_only_a_few_databases_are_asked(asked):
    """With a database for each tenant the first few are asked; one out of use makes room."""
    databases = Databases()
    for number in range(MAX_DATABASES + 3):
        databases.used(str(number), connect)
    assert asked.names == [str(number) for number in range(MAX_DATABASES)]
    asked.now = UNUSED_SECONDS + 1
    databases.used("late", connect)
    assert "late" in asked.names
    assert len(asked.names) == MAX_DATABASES


def test_the_first_used_is_known_first_by_its_newest_connection_string(asked):
    """Passwords are renewed; what was out of use for a while is still known."""
    databases = Databases()
    databases.used("one", connect)
    databases.used("two", connect)
    databases.used("one", print)
    asked.now = UNUSED_SECONDS + 1
    databases.look()
    assert databases.known() == [("one", print), ("two", connect)]


def test_a_connection_that_takes_no_weak_reference_is_used_all_the_same(asked):
    """A connection class of the application's own may have slots."""
    databases = Databases()
    databases.used("one", connect, 7)
    assert asked.names == ["one"]


def test_a_string_is_read_once_and_what_cannot_be_read_is_told_once(asked, caplog, monkeypatch):
    """Nothing that a connection string holds reaches the application as an exception."""
    monkeypatch.setattr(guard, "_told", set())
    read = []

    def reader(given):
        read.append(given)
        if given == "bad":
            raise OSError("no such thing")
        return None

    strings = Strings(reader)
    for given in ("good", "good", "bad", "bad"):
        strings.used(given)
    assert read == ["good", "bad", "bad"]
    assert len([each for each in caplog.records if "watching a database" in each.message]) == 1


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_connections_of_our_own_read_only_within_their_limit(application, postgres, driver):
    """Look-ups get the DB-API's cursors, may change nothing, and end when their time has passed."""
    outcome = application(
        f"""
import {driver} as driver
from otel_accubooks.instrument.databases import known_databases
driver.connect({postgres.dsn!r}).close()
(name, connect), = known_databases()
connection = connect(30)
cursor = connection.cursor()
cursor.execute("SELECT count(*), current_setting('transaction_read_only') FROM pg_class")
said["rows"] = len(cursor.fetchall()), len(cursor.description)
try:
    cursor.execute("CREATE TABLE u (a int)")
except driver.Error as error:
    said["write"] = getattr(error, "pgcode", None) or error.sqlstate
connection.close()
try:
    connection = connect(1)
    connection.cursor().execute("SELECT pg_sleep(60)")
except (TimeoutError, driver.errors.QueryCanceled):
    said["limit"] = True
connection.close()
"""
    )
    assert outcome.said == {"rows": [1, 2], "write": "25006", "limit": True}
    assert outcome.counted(DB_QUERY_DURATION_MS) == {}
    assert outcome.counted(DB_CONNECTION_ERRORS_TOTAL) == {}
