"""The application factory: connections, blueprints, and errors as JSON."""

import os
from collections.abc import Mapping

from flask import Flask, session
from flask.typing import ResponseReturnValue
from redis import Redis
from rq import Queue
from werkzeug.exceptions import HTTPException

from accubooks import settings
from accubooks.api import accounts, feedback, forecasts, ledger, scenarios
from accubooks.api.context import Services
from accubooks.cache import Cache
from accubooks.database import Database
from accubooks.forecasts import QUEUE
from accubooks.tiers import LimitReached, UnknownUser


def create_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """A Flask application on the database and Redis that the environment names."""
    config = settings.load(environ)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=config.secret_key, SESSION_COOKIE_SAMESITE="Lax", MAX_CONTENT_LENGTH=64 * 1024
    )
    cache = Redis.from_url(config.redis_url, decode_responses=True, socket_timeout=2)
    app.extensions["accubooks"] = Services(
        database=Database(config.database_url, config.pool_min, config.pool_max),
        cache=Cache(cache, config.cache_seconds),
        queue=Queue(QUEUE, connection=Redis.from_url(config.redis_url)),
    )
    for part in (accounts, scenarios, forecasts, ledger, feedback):
        app.register_blueprint(part.blueprint)
    app.add_url_rule("/", view_func=index)
    app.register_error_handler(LimitReached, limit_reached)
    app.register_error_handler(UnknownUser, unknown_user)
    app.register_error_handler(HTTPException, http_error)
    return app


def index() -> ResponseReturnValue:
    return {"name": "AccuBooks", "user_id": session.get("user_id"), "tier": session.get("tier")}


def limit_reached(error: LimitReached) -> ResponseReturnValue:
    return {
        "error": "limit",
        "limit_type": error.limit_type,
        "limit": error.limit,
        "tier": error.tier,
    }, 403


def unknown_user(error: UnknownUser) -> ResponseReturnValue:
    session.clear()
    return {"error": str(error)}, 401


def http_error(error: HTTPException) -> ResponseReturnValue:
    """Every other failure, those without a handler included: Flask makes a 500 of them."""
    return {"error": error.description}, error.code or 500
