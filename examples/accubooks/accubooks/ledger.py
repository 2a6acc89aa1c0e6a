"""The books: double entry, whole cents. The lines of one month add up to nothing, always."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

MONTHLY = """
    SELECT date_trunc('month', booked_on)::date AS month,
           sum(amount_cents)::bigint AS balance,
           sum(CASE WHEN account = 'cash' THEN greatest(amount_cents, 0) ELSE 0 END)::bigint
               AS income,
           sum(CASE WHEN account = 'cash' THEN greatest(-amount_cents, 0) ELSE 0 END)::bigint
               AS expense
    FROM ledger WHERE tenant_id = %s GROUP BY 1 ORDER BY 1
"""
LINES = """
    SELECT booked_on, entry, account, amount_cents, memo FROM ledger
    WHERE tenant_id = %s ORDER BY booked_on, entry, id
"""


class CalculationError(Exception):
    """The books contradict themselves; nothing may be computed from them."""


@dataclass(frozen=True)
class Month:
    first_day: date
    income_cents: int
    expense_cents: int


def next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def monthly_totals(cursor: Any, tenant_id: int) -> list[Month]:
    """Cash in and out of each month from the first booked one to the last, in whole cents.

    A month without a booking is there with zeros. Raises CalculationError if a month is unbalanced.
    """
    cursor.execute(MONTHLY, (tenant_id,))
    months: list[Month] = []
    for row in cursor.fetchall():
        if row["balance"] != 0:
            raise CalculationError(
                f"the ledger of {row['month']:%Y-%m} is out of balance by {row['balance']} cents"
            )
        while months and next_month(months[-1].first_day) < row["month"]:
            months.append(Month(next_month(months[-1].first_day), 0, 0))
        months.append(Month(row["month"], row["income"], row["expense"]))
    return months


def csv_lines(rows: Any) -> Iterator[str]:
    """The export, line by line, from a cursor that has run LINES."""
    yield "date,entry,account,amount,memo\n"
    for row in rows:
        memo = row["memo"].replace('"', '""')
        sign = "-" if row["amount_cents"] < 0 else ""
        units, cents = divmod(abs(row["amount_cents"]), 100)
        yield (
            f'{row["booked_on"]},{row["entry"]},{row["account"]},{sign}{units}.{cents:02},"{memo}"\n'
        )
