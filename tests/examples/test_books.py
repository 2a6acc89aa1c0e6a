"""The ledger and its demonstration books, on PostgreSQL."""

from datetime import date

import pytest
from accubooks import seed
from accubooks.ledger import CalculationError, Month, monthly_totals
from psycopg2.errors import DivisionByZero


def tenant_of(cursor, name: str) -> int:
    cursor.execute("SELECT id FROM tenants WHERE name = %s", (name,))
    return cursor.fetchone()["id"]


def book(cursor, tenant_id: int, day: date, *lines: tuple[str, int]) -> None:
    for account, cents in lines:
        cursor.execute(
            """INSERT INTO ledger (tenant_id, entry, booked_on, account, amount_cents, memo)
               VALUES (%s, 1, %s, %s, %s, '')""",
            (tenant_id, day, account, cents),
        )


@pytest.fixture
def empty_tenant(database):
    """A cursor on the seeded database, and a tenant without books."""
    with database.transaction() as cursor:
        cursor.execute("INSERT INTO tenants (name) VALUES ('dandelion') RETURNING id")
        yield cursor, cursor.fetchone()["id"]
        cursor.connection.rollback()


def test_a_month_is_cash_in_and_cash_out(empty_tenant):
    """Only the cash account's lines count, each on its side."""
    cursor, tenant_id = empty_tenant
    day = date(2025, 3, 5)
    book(cursor, tenant_id, day, ("cash", 700), ("sales", -700), ("cash", -250), ("rent", 250))
    assert monthly_totals(cursor, tenant_id) == [Month(date(2025, 3, 1), 700, 250)]


def test_a_month_without_bookings_counts_as_zero(empty_tenant):
    """A gap stays in the series, over the turn of the year too, or the season would slip."""
    cursor, tenant_id = empty_tenant
    book(cursor, tenant_id, date(2024, 11, 30), ("cash", 5), ("sales", -5))
    book(cursor, tenant_id, date(2025, 2, 1), ("cash", 5), ("sales", -5))
    incomes = [month.income_cents for month in monthly_totals(cursor, tenant_id)]
    assert incomes == [5, 0, 0, 5]


def test_one_missing_cent_is_a_calculation_error(empty_tenant):
    """The month and the amount are named."""
    cursor, tenant_id = empty_tenant
    book(cursor, tenant_id, date(2025, 3, 5), ("cash", 700), ("sales", -699))
    with pytest.raises(CalculationError, match="2025-03 is out of balance by 1 cents"):
        monthly_totals(cursor, tenant_id)


@pytest.mark.parametrize(("company", "count"), [("acorn", 36), ("cedar", 36), ("sapling", 9)])
def test_seeded_books_balance_up_to_last_month(database, company, count):
    """The books of the sound companies end with the last full month and can be computed with."""
    with database.transaction() as cursor:
        months = monthly_totals(cursor, tenant_of(cursor, company))
    assert len(months) == count
    today = date.today()
    assert months[-1].first_day == date(
        today.year - (today.month == 1), (today.month - 2) % 12 + 1, 1
    )


def test_the_books_of_crooked_are_crooked(database):
    """One seeded company shows what an unbalanced ledger leads to."""
    with database.transaction() as cursor, pytest.raises(CalculationError):
        monthly_totals(cursor, tenant_of(cursor, "crooked"))


def test_seeding_twice_changes_nothing(database):
    """A second run leaves what people have done since."""
    with database.transaction() as cursor:
        assert "nothing was changed" in seed.seed(cursor, date.today())
        cursor.execute("SELECT count(*) AS users FROM users")
        assert cursor.fetchone()["users"] == 15


def test_books_are_the_same_each_time():
    """The demonstration can be repeated."""
    today = date(2026, 1, 15)
    assert list(seed.books("acorn", 36, today)) == list(seed.books("acorn", 36, today))


def test_a_failed_transaction_leaves_nothing_and_returns_its_connection(database):
    """What an exception interrupts is rolled back, more often than the pool has connections."""
    for _ in range(5):
        with pytest.raises(DivisionByZero), database.transaction() as cursor:
            cursor.execute("INSERT INTO tenants (name) VALUES ('erased'); SELECT 1 / 0")
    with database.transaction() as cursor:
        cursor.execute("SELECT count(*) AS found FROM tenants WHERE name = 'erased'")
        assert cursor.fetchone()["found"] == 0
