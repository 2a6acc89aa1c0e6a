"""The measured application with as many routes as BENCH_ROUTES says, for gunicorn: loaded:app.

/route-<number>?<status> answers with any status, so that there are many series.
"""

from __future__ import annotations

import os

from application import app
from flask import Response, request


def endpoint() -> Response:
    """Whatever status is asked for."""
    return Response("ok", int(request.query_string))


for number in range(int(os.environ["BENCH_ROUTES"])):
    app.add_url_rule(f"/route-{number}", f"route-{number}", endpoint)
