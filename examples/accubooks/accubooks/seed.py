"""Fills an empty database with companies, users and about three years of books.

    python -m accubooks.seed

Each company has the users free@, starter@ and pro@<company>.example. Two companies are troubled:
"sapling" is too young for a forecast, and a line is missing from the books of "crooked".
"""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from math import cos, pi
from pathlib import Path
from random import Random
from typing import Any

from psycopg2.extras import execute_values
from werkzeug.security import generate_password_hash

from accubooks.database import Database
from accubooks.settings import required
from accubooks.tiers import TIERS

COMPANIES = {"acorn": 36, "birch": 36, "cedar": 36, "sapling": 9, "crooked": 36}  # months of books
PASSWORD = "correct horse"  # of every user: these are the users of a demonstration

Line = tuple[int, date, str, int, str]


def books(company: str, months: int, today: date) -> Iterator[Line]:
    """Ledger lines (entry, day, account, cents, memo) of the full months before this one."""
    random = Random(company)
    size = random.randint(300_000, 900_000)
    entry = 0
    for age in range(months, 0, -1):
        year, month = divmod(today.year * 12 + today.month - 1 - age, 12)
        season = 1 + 0.25 * cos(2 * pi * (month - 10) / 12) + 0.01 * (months - age)
        for kind, share, count in (("sales", 1.0, 12), ("wages", -0.45, 4), ("rent", -0.2, 1)):
            for _ in range(count):
                scale = season if kind != "rent" else 1
                cents = round(size * share / count * scale * random.uniform(0.9, 1.1))
                day = date(year, month + 1, random.randint(1, 28))
                entry += 1
                yield entry, day, "cash", cents, f"{kind} {day:%B}"
                yield entry, day, kind, -cents, f"{kind} {day:%B}"


def seed(cursor: Any, today: date) -> str:
    """Makes the tables and their rows; says what it did. Leaves alone what has tenants."""
    cursor.execute(Path(__file__).with_name("schema.sql").read_text())
    cursor.execute("SELECT count(*) AS tenants FROM tenants")
    if cursor.fetchone()["tenants"]:
        return "this database has tenants already: nothing was changed"
    password_hash = generate_password_hash(PASSWORD)
    total = 0
    for company, months in COMPANIES.items():
        cursor.execute("INSERT INTO tenants (name) VALUES (%s) RETURNING id", (company,))
        tenant_id = cursor.fetchone()["id"]
        execute_values(
            cursor,
            "INSERT INTO users (tenant_id, email, password_hash, tier) VALUES %s",
            [(tenant_id, f"{t.lower()}@{company}.example", password_hash, t) for t in TIERS],
        )
        lines = list(books(company, months, today))
        if company == "crooked":
            lines.pop()  # the last entry lost its second line
        execute_values(
            cursor,
            """INSERT INTO ledger (tenant_id, entry, booked_on, account, amount_cents, memo)
               VALUES %s""",
            [(tenant_id, *line) for line in lines],
            page_size=1000,
        )
        total += len(lines)
    users = len(COMPANIES) * len(TIERS)
    return f"{len(COMPANIES)} tenants, {users} users and {total} ledger lines are in place"


def main() -> None:
    url = required(os.environ, "DATABASE_URL", "postgresql://user@localhost/accubooks")
    with closing(Database(url)) as database, database.transaction() as cursor:
        print(seed(cursor, date.today()))


if __name__ == "__main__":
    main()
