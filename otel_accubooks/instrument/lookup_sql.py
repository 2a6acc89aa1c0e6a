"""Look-ups by SQL, with the driver that the application has."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from otel_accubooks.instrument.databases import Connect, known_databases, readers
from otel_accubooks.instrument.rules import Lookup

LIMIT_SECONDS = 5.0
MAX_ROWS = 1000

_DRIVER = re.compile(r"^(postgres(?:ql)?)\+\w+://")  # as SQLAlchemy names it

Rows = list[tuple[tuple[Any, ...], Any]]


def query_of(lookup: Lookup) -> Callable[[], Rows] | None:
    """Asks the query of `lookup`; None while no driver, or no database, is known in this process.

    Raises LookupError where its address is not to be had.
    """
    if lookup.target is None:
        return (lambda: _ask(lookup, known_databases()[0][1])) if known_databases() else None
    if not readers:
        return None
    connect = connect_by(lookup.target)
    return lambda: _ask(lookup, connect)


def connect_by(variable: str) -> Connect:
    """Connects to the database whose address is in the environment. Raises LookupError, without it."""
    address = os.environ.get(variable, "").strip()
    if not address:
        raise LookupError(f"{variable} is not set, expected the address of a database")
    address = _DRIVER.sub(r"\1://", address)
    try:
        target = readers[0](address)
    except Exception:  # each driver has its own, and its text may hold the password
        target = None
    if target is None:
        raise LookupError(f"{variable} is no address of a database")
    return target[1]


def _ask(lookup: Lookup, connect: Connect) -> Rows:
    connection = connect(LIMIT_SECONDS)
    try:
        cursor = connection.cursor()
        # The line end is for a query that ends with a comment.
        query = f"SELECT * FROM ({lookup.sql}\n) AS looked_up LIMIT {MAX_ROWS + 1}"  # noqa: S608
        cursor.execute(query)
        names = [column[0] for column in cursor.description]
        found = cursor.fetchall()
    finally:
        connection.close()
    if len(found) > MAX_ROWS:
        raise ValueError(f"it has more than {MAX_ROWS} rows")
    labels = lookup.gauge.label_names
    value = names.index("value") if "value" in names else len(names) - 1
    if set(names) - {names[value]} != set(labels) or len(names) != len(labels) + 1:
        expected = ", ".join((*labels, "value"))
        raise ValueError(f"its columns are {', '.join(names)}, expected {expected}")
    at = [names.index(label) for label in labels]
    return [(tuple(row[i] for i in at), row[value]) for row in found]
