"""Sign in, sign out, upgrade."""

from flask import Blueprint, abort, session
from flask.typing import ResponseReturnValue
from werkzeug.security import check_password_hash

from accubooks.api.context import body, services, signed_in, text
from accubooks.tiers import TIERS, is_upgrade, locked_tier

blueprint = Blueprint("accounts", __name__)


@blueprint.post("/login")
def login() -> ResponseReturnValue:
    fields = body()
    email, password = text(fields, "email"), text(fields, "password")
    with services().database.transaction() as cursor:
        cursor.execute(
            "SELECT id, tenant_id, tier, password_hash FROM users WHERE email = %s", (email,)
        )
        user = cursor.fetchone()
    if user is None or not check_password_hash(user["password_hash"], password):
        abort(401, "wrong email or password")
    session.clear()
    session.update(user_id=user["id"], tenant_id=user["tenant_id"], tier=user["tier"])
    return dict(session)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    session.clear()
    return "", 204


@blueprint.post("/api/upgrade")
def upgrade() -> ResponseReturnValue:
    signed_in()
    tier = text(body(), "tier")
    if tier not in TIERS:
        abort(400, f"tier must be one of {', '.join(TIERS)}, not {tier!r}")
    owner = session["tenant_id"], session["user_id"]
    with services().database.transaction() as cursor:
        before = locked_tier(cursor, *owner)
        if not is_upgrade(before, tier):
            abort(409, f"{tier} is no upgrade from {before}")
        cursor.execute(
            "UPDATE users SET tier = %s WHERE tenant_id = %s AND id = %s", (tier, *owner)
        )
    session["tier"] = tier
    return {"from": before, "to": tier}
