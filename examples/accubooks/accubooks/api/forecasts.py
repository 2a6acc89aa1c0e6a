"""Forecasts: asked for here, computed by a worker, explained by the trust layer."""

from typing import Any

from flask import Blueprint, abort, session
from flask.typing import ResponseReturnValue
from redis import RedisError

from accubooks import tenancy, tiers, trust
from accubooks.api.context import body, services, signed_in
from accubooks.api.scenarios import find as find_scenario
from accubooks.forecasts import compute_forecast

blueprint = Blueprint("forecasts", __name__, url_prefix="/api/forecasts")
blueprint.before_request(signed_in)


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Stores the wish and puts its job in the queue; a scenario_id in the body is optional."""
    tenant_id, user_id = session["tenant_id"], session["user_id"]
    income, expense = scenario_percents(body().get("scenario_id"), tenant_id)
    with services().database.transaction() as cursor:
        session["tier"] = tier = tiers.claim(cursor, "forecasts", tenant_id, user_id)
        cursor.execute(
            """INSERT INTO forecasts (tenant_id, user_id, income_percent, expense_percent)
               VALUES (%s, %s, %s, %s) RETURNING id""",
            (tenant_id, user_id, income, expense),
        )
        forecast_id = cursor.fetchone()["id"]
    # Only now, after the commit, can a worker see the row.
    try:
        job = services().queue.enqueue(
            compute_forecast,
            kwargs={"forecast_id": forecast_id, "tenant_id": tenant_id, "tier": tier},
            job_timeout=60,
        )
    except RedisError:
        give_up(forecast_id, tenant_id)
        raise
    return {"id": forecast_id, "job_id": job.id, "status": "queued"}, 202


@blueprint.get("/<int:forecast_id>")
def show(forecast_id: int) -> ResponseReturnValue:
    forecast = find(forecast_id)
    answer = {"id": forecast_id, "status": forecast["status"]}
    if forecast["status"] == "failed":
        answer["reason"] = forecast["reason"] or "an internal error"
    if forecast["status"] == "finished":
        answer["months"] = forecast["result"]["months"]
    return answer


@blueprint.get("/<int:forecast_id>/explanation")
def explanation(forecast_id: int) -> ResponseReturnValue:
    return trust.explanation(finished(forecast_id))


@blueprint.get("/<int:forecast_id>/assumptions")
def assumptions(forecast_id: int) -> ResponseReturnValue:
    return trust.assumptions(finished(forecast_id))


@blueprint.get("/<int:forecast_id>/confidence")
def confidence(forecast_id: int) -> ResponseReturnValue:
    return trust.confidence(finished(forecast_id))


def find(forecast_id: int) -> dict[str, Any]:
    tenant_id = session["tenant_id"]
    with services().database.transaction() as cursor:
        cursor.execute(
            """SELECT id, tenant_id, status, reason, result FROM forecasts
               WHERE tenant_id = %s AND id = %s""",
            (tenant_id, forecast_id),
        )
        forecast: dict[str, Any] | None = cursor.fetchone()
    if forecast is None or not tenancy.own(forecast, tenant_id):
        abort(404, f"there is no forecast {forecast_id}")
    return forecast


def finished(forecast_id: int) -> dict[str, Any]:
    forecast = find(forecast_id)
    if forecast["status"] != "finished":
        abort(409, f"forecast {forecast_id} is {forecast['status']}, not finished")
    result: dict[str, Any] = forecast["result"]
    return result


def scenario_percents(scenario_id: Any, tenant_id: int) -> tuple[int, int]:
    if scenario_id is None:
        return 0, 0
    if not isinstance(scenario_id, int) or isinstance(scenario_id, bool):
        abort(400, f"scenario_id must be a whole number, not {scenario_id!r}")
    scenario = find_scenario(scenario_id, tenant_id)
    return scenario["income_percent"], scenario["expense_percent"]


def give_up(forecast_id: int, tenant_id: int) -> None:
    with services().database.transaction() as cursor:
        cursor.execute(
            "UPDATE forecasts SET status = 'failed' WHERE tenant_id = %s AND id = %s",
            (tenant_id, forecast_id),
        )
