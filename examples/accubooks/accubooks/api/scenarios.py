"""Scenarios: what if income or expenses were some percent higher or lower?"""

from typing import Any

from flask import Blueprint, Response, abort, after_this_request, session
from flask.typing import ResponseReturnValue

from accubooks import tenancy, tiers
from accubooks.api.context import body, percent, services, signed_in, text

blueprint = Blueprint("scenarios", __name__, url_prefix="/api/scenarios")
blueprint.before_request(signed_in)
COLUMNS = "id, tenant_id, user_id, name, income_percent, expense_percent"


@blueprint.post("")
def create() -> ResponseReturnValue:
    fields = body()
    tenant_id, user_id = session["tenant_id"], session["user_id"]
    values = (
        text(fields, "name"),
        percent(fields, "income_percent"),
        percent(fields, "expense_percent"),
    )
    with services().database.transaction() as cursor:
        session["tier"] = tiers.claim(cursor, "scenarios", tenant_id, user_id)
        cursor.execute(
            f"""INSERT INTO scenarios (tenant_id, user_id, name, income_percent, expense_percent)
                VALUES (%s, %s, %s, %s, %s) RETURNING {COLUMNS}""",
            (tenant_id, user_id, *values),
        )
        scenario: dict[str, Any] = cursor.fetchone()
    return scenario, 201


@blueprint.get("")
def list_all() -> ResponseReturnValue:
    with services().database.transaction() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM scenarios WHERE tenant_id = %s ORDER BY id LIMIT 1000",
            (session["tenant_id"],),
        )
        scenarios: list[dict[str, Any]] = cursor.fetchall()
    return scenarios


@blueprint.get("/<int:scenario_id>")
def show(scenario_id: int) -> ResponseReturnValue:
    return find(scenario_id, session["tenant_id"])


@blueprint.delete("/<int:scenario_id>")
def delete(scenario_id: int) -> ResponseReturnValue:
    tenant_id = session["tenant_id"]
    with services().database.transaction() as cursor:
        cursor.execute(
            "DELETE FROM scenarios WHERE tenant_id = %s AND id = %s", (tenant_id, scenario_id)
        )
        if not cursor.rowcount:
            abort(404, f"there is no scenario {scenario_id}")
    services().cache.forget(cache_key(tenant_id, scenario_id))
    return "", 204


def find(scenario_id: int, tenant_id: int) -> dict[str, Any]:
    """The tenant's scenario, from the cache if it is there. Answers 404 if there is no such one."""
    cache, key = services().cache, cache_key(tenant_id, scenario_id)
    scenario: dict[str, Any] | None = cache.get(key)
    tell_cache("miss" if scenario is None else "hit")
    if scenario is None:
        with services().database.transaction() as cursor:
            cursor.execute(
                f"SELECT {COLUMNS} FROM scenarios WHERE tenant_id = %s AND id = %s",
                (tenant_id, scenario_id),
            )
            scenario = cursor.fetchone()
        if scenario is not None:
            cache.put(key, scenario)
    if scenario is None or not tenancy.own(scenario, tenant_id):
        abort(404, f"there is no scenario {scenario_id}")
    return scenario


def tell_cache(found: str) -> None:
    @after_this_request
    def add_header(response: Response) -> Response:
        response.headers["X-Cache"] = found
        return response


def cache_key(tenant_id: int, scenario_id: int) -> str:
    return f"accubooks:scenario:{tenant_id}:{scenario_id}"
