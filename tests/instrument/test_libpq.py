"""How databases are named, from what libpq is told of them."""

import pytest

from otel_accubooks.instrument.libpq import target_name


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (
            {"host": "db", "port": "6432", "dbname": "books", "user": "ann", "password": "pw"},
            "database db:6432/books",
        ),
        ({"host": "a,b", "user": "ann"}, "database a,b:5432/ann"),
        ({"dbname": "postgresql://ann:pw@db/books"}, "database local:5432/"),
        ({"service": "books", "password": "pw"}, "database service books"),
    ],
)
def test_a_target_is_named_without_user_or_password(parameters, expected, monkeypatch):
    """Host, port and database tell targets apart; nothing secret is in a name."""
    for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
    assert target_name(parameters) == expected
