"""What users tell us: tickets for our support, and how much they like AccuBooks."""

from flask import Blueprint, abort, session
from flask.typing import ResponseReturnValue

from accubooks.api.context import body, services, signed_in, text

PRIORITIES = ("low", "normal", "high")

blueprint = Blueprint("feedback", __name__)
blueprint.before_request(signed_in)


@blueprint.post("/api/tickets")
def open_ticket() -> ResponseReturnValue:
    fields = body()
    priority = fields.get("priority", "normal")
    if priority not in PRIORITIES:
        abort(400, f"priority must be one of {', '.join(PRIORITIES)}, not {priority!r}")
    with services().database.transaction() as cursor:
        cursor.execute(
            """INSERT INTO tickets (tenant_id, user_id, priority, problem)
               VALUES (%s, %s, %s, %s) RETURNING id""",
            (session["tenant_id"], session["user_id"], priority, text(fields, "problem")),
        )
        ticket_id = cursor.fetchone()["id"]
    return {"id": ticket_id, "priority": priority}, 201


@blueprint.post("/api/opinion")
def give_opinion() -> ResponseReturnValue:
    """Would you recommend us, from 0 to 10? Do you trust the forecasts? The last answer counts."""
    fields = body()
    score, trusts = fields.get("score"), fields.get("trusts")
    if type(score) is not int or not 0 <= score <= 10:
        abort(400, f"score must be a whole number from 0 to 10, not {score!r}")
    if not isinstance(trusts, bool):
        abort(400, f"trusts must be true or false, not {trusts!r}")
    with services().database.transaction() as cursor:
        cursor.execute(
            """INSERT INTO opinions (tenant_id, user_id, score, trusts) VALUES (%s, %s, %s, %s)
               ON CONFLICT (user_id) DO UPDATE SET score = excluded.score, trusts = excluded.trusts""",
            (session["tenant_id"], session["user_id"], score, trusts),
        )
    return "", 204
