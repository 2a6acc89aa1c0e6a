"""The job behind a forecast. A worker runs it, which shares with the web only the environment."""

import os
from contextlib import closing
from datetime import date
from typing import Any

from psycopg2.extras import Json

from accubooks import seasonal
from accubooks.database import Database
from accubooks.ledger import CalculationError, Month, monthly_totals, next_month
from accubooks.settings import required
from accubooks.tiers import TIERS

QUEUE = "forecasts"
NEEDED_MONTHS = 2 * seasonal.PERIOD


class InsufficientHistory(Exception):
    """The ledger is too young for a seasonal model."""


def compute_forecast(*, forecast_id: int, tenant_id: int, tier: str) -> None:
    """Computes a stored forecast from the tenant's ledger and stores the result.

    Raises InsufficientHistory or CalculationError; the forecast is then stored as failed.
    """
    url = required(os.environ, "DATABASE_URL", "postgresql://user@localhost/accubooks")
    with closing(Database(url)) as database:
        try:
            with database.transaction() as cursor:
                changes = _start(cursor, forecast_id, tenant_id)
                months = monthly_totals(cursor, tenant_id)
            result = forecast(months, TIERS[tier].months_ahead, *changes)
        except Exception as error:
            known = isinstance(error, InsufficientHistory | CalculationError)
            _finish(database, forecast_id, tenant_id, "failed", reason=str(error) if known else "")
            raise
        _finish(database, forecast_id, tenant_id, "finished", result=Json(result))


def _start(cursor: Any, forecast_id: int, tenant_id: int) -> tuple[int, int]:
    cursor.execute(
        """UPDATE forecasts SET status = 'running' WHERE id = %s AND tenant_id = %s
           RETURNING income_percent, expense_percent""",
        (forecast_id, tenant_id),
    )
    row = cursor.fetchone()
    if row is None:
        raise LookupError(f"no forecast {forecast_id} in tenant {tenant_id}")
    return row["income_percent"], row["expense_percent"]


def _finish(
    database: Database,
    forecast_id: int,
    tenant_id: int,
    status: str,
    *,
    result: Json | None = None,
    reason: str | None = None,
) -> None:
    with database.transaction() as cursor:
        cursor.execute(
            """UPDATE forecasts SET status = %s, result = %s, reason = %s, ended_at = now()
               WHERE id = %s AND tenant_id = %s""",
            (status, result, reason, forecast_id, tenant_id),
        )


def forecast(
    months: list[Month], ahead: int, income_percent: int = 0, expense_percent: int = 0
) -> dict[str, Any]:
    """What is stored: the coming months in whole cents, and all that explains them."""
    if len(months) < NEEDED_MONTHS:
        raise InsufficientHistory(
            f"the ledger has {len(months)} months, a forecast needs at least {NEEDED_MONTHS}"
        )
    income = seasonal.fit([month.income_cents for month in months])
    expense = seasonal.fit([month.expense_cents for month in months])
    coming: list[dict[str, Any]] = []
    day: date = months[-1].first_day
    for step in range(1, ahead + 1):
        day = next_month(day)
        cash_in = changed(income.forecast(step), income_percent)
        cash_out = changed(expense.forecast(step), expense_percent)
        coming.append(
            {
                "month": f"{day:%Y-%m}",
                "income_cents": cash_in,
                "expense_cents": cash_out,
                "net_cents": cash_in - cash_out,
            }
        )
    return {
        "months": coming,
        "history": {
            "first": f"{months[0].first_day:%Y-%m}",
            "last": f"{months[-1].first_day:%Y-%m}",
            "months": len(months),
        },
        "change_percent": {"income": income_percent, "expense": expense_percent},
        "models": {"income": income.as_dict(), "expense": expense.as_dict()},
    }


def changed(cents: int, percent: int) -> int:
    """The amount, changed by so many percent and rounded to the nearest cent (half up)."""
    return (cents * (100 + percent) + 50) // 100
