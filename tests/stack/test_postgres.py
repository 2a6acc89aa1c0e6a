"""PostgreSQL: made, started, killed and started again, also by root."""

from __future__ import annotations

import gc
from pathlib import Path

import psycopg2
import pytest

from otel_accubooks.stack.postgres import Postgres, find_programs
from otel_accubooks.stack.process import StartError


def test_what_was_written_outlives_a_kill(tmp_path: Path) -> None:
    """An outage of the database is a kill and a start, with the data still there."""
    with Postgres(tmp_path) as postgres:
        connection = psycopg2.connect(postgres.dsn)
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE ledger (cents bigint)")
            cursor.execute("INSERT INTO ledger VALUES (42)")
        connection.close()
        postgres.kill()
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(postgres.dsn)
        postgres.start()
        connection = psycopg2.connect(postgres.dsn)
        with connection.cursor() as cursor:
            cursor.execute("SELECT cents FROM ledger")
            assert cursor.fetchall() == [(42,)]
        connection.close()


def test_it_stops_while_clients_are_connected(tmp_path: Path) -> None:
    """A forgotten connection does not hold up the end of a test."""
    with Postgres(tmp_path) as postgres:
        connection = psycopg2.connect(postgres.dsn)
        postgres.stop(timeout=20)
        assert "database system is shut down" in postgres.log_tail()
        connection.close()


def test_nothing_is_left_of_its_data(tmp_path: Path) -> None:
    """Its folder goes when the object does."""
    postgres = Postgres(tmp_path)
    data = Path(postgres.argv[postgres.argv.index("-D") + 1])
    assert data.is_dir()
    del postgres
    gc.collect()
    assert not data.exists()


def test_no_postgres_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is none, the message says which package brings it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("otel_accubooks.stack.postgres.DEBIAN", tmp_path)
    with pytest.raises(StartError, match="apt-get install postgresql"):
        find_programs()
