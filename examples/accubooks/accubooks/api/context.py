"""What every request needs: the services, who is asking, and the fields of a JSON body."""

from dataclasses import dataclass
from typing import Any, cast

from flask import abort, current_app, request, session
from rq import Queue

from accubooks.cache import Cache
from accubooks.database import Database


@dataclass(frozen=True)
class Services:
    database: Database
    cache: Cache
    queue: Queue


def services() -> Services:
    return cast(Services, current_app.extensions["accubooks"])


def signed_in() -> None:
    """A before_request hook: nobody passes without a session."""
    if "user_id" not in session:
        abort(401, "sign in first: POST /login with email and password")


def body() -> dict[str, Any]:
    given = request.get_json()
    if not isinstance(given, dict):
        abort(400, "the body must be a JSON object")
    return given


def text(fields: dict[str, Any], name: str, longest: int = 100) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= longest:
        abort(400, f"{name} must be a text of 1 to {longest} printable characters")
    return value


def percent(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not -100 <= value <= 100:
        abort(400, f"{name} must be a whole number from -100 to 100, not {value!r}")
    return value
