"""The web application: Dash with everything from this machine, and nothing that can be changed."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html
from dash.exceptions import PreventUpdate
from flask import Flask, Response, abort, request

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.servers.api import LOOPBACK
from otel_accubooks.viewer.page import Pages
from otel_accubooks.viewer.panels import class_of
from otel_accubooks.viewer.prometheus import Prometheus

_CALLBACK = "/_dash-update-component"
_FILES = ("/_dash-component-suites/", "/assets/")
_OWN_PATHS = {_CALLBACK, "/_dash-layout", "/_dash-dependencies", "/_reload-hash", "/_favicon.ico"}
_LONGEST_QUESTION = 64 * 1024
_THREADS = 8
# Dash's own tells other sites' previews about the page.
_INDEX = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{%title%}</title>{%favicon%}{%css%}</head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""


def application(
    prometheus: str, *, only: str | None = None, runbooks: str, local: bool = False
) -> Flask:
    """The dashboards, or `only` the one of that name, as a WSGI application.

    Where it is `local`, for this machine alone, only this machine's names and addresses lead to it.
    Raises ValueError where there is no dashboard of that name.
    """
    shown = [dashboard for dashboard in DASHBOARDS if only in (None, dashboard.name)]
    if not shown:
        names = ", ".join(dashboard.name for dashboard in DASHBOARDS)
        raise ValueError(f"no dashboard {only!r}: expected one of {names}")
    pages = Pages(shown, Prometheus(prometheus), runbooks, public=only is not None)
    server = Flask(__name__, static_folder=None)
    server.config["MAX_CONTENT_LENGTH"] = _LONGEST_QUESTION
    app = Dash(
        "otel_accubooks.viewer",
        server=server,
        title=shown[0].title if only else "Dashboards",
        update_title="",
        serve_locally=True,
        add_log_handler=False,
        suppress_callback_exceptions=True,
        use_pages=False,
        index_string=_INDEX,
    )
    app.layout = [dcc.Location(id="address"), html.Div(id="page")]
    _callbacks(app, pages)
    if local:
        _known_by_address(server)
    _read_only(server, {"/", *(f"/{dashboard.name}" for dashboard in shown)})
    _headers(server, " ".join(app.csp_hashes()))
    return server


def _callbacks(app: Dash, pages: Pages) -> None:
    """The page comes first, then its data; graphs stay, and a reader's zoom with them."""

    def page(path: Any, query: Any) -> list[Any]:
        dashboard = pages.dashboard(str(path or "/"))
        if dashboard is None:
            return [html.P("There is no such dashboard.", className="banner")]
        return pages.frame(dashboard, str(query or ""))

    def fill(_: Any, path: Any, query: Any) -> tuple[Any, ...]:
        dashboard = pages.dashboard(str(path or "/"))
        if dashboard is None:
            raise PreventUpdate
        now = pages.contents(dashboard, str(query or ""))
        kinds = {panel.title: panel for panel in dashboard.panels}
        # The browser's page may be another by now: it says which parts it has.
        cards, graphs, belows = (
            [part["id"][name] for part in parts]
            for parts, name in zip(ctx.outputs_list, ("card", "graph", "below"), strict=False)
        )
        if not {*cards, *graphs, *belows} <= kinds.keys():
            raise PreventUpdate
        return (
            [class_of(kinds[title], now.panels[title].colour) for title in cards],
            [now.panels[title].figure for title in graphs],
            [now.panels[title].below for title in belows],
            *(now.facts, now.choices, now.banner, 1000 * now.again),
        )

    app.callback(
        Output("page", "children"), Input("address", "pathname"), Input("address", "search")
    )(page)
    app.callback(
        Output({"card": ALL}, "className"),
        Output({"graph": ALL}, "figure"),
        Output({"below": ALL}, "children"),
        *(Output("facts", "children"), Output("choices", "children")),
        *(Output("banner", "children"), Output("again", "interval")),
        Input("again", "n_intervals"),
        *(State("address", "pathname"), State("address", "search")),
    )(fill)


def serve(
    prometheus: str,
    *,
    host: str = "127.0.0.1",
    port: int,
    only: str | None = None,
    runbooks: str,
) -> None:
    """Serves the dashboards over the Prometheus at that address until the process is ended.

    `only` names the one to serve, for those who share it with strangers. `runbooks` is the address
    below which <alert>.md is found. A Prometheus that is down, or not yet up, is waited for.
    Raises ValueError for an unknown dashboard, OSError where the port cannot be had.
    """
    import waitress

    # Nothing per request; that a browser asks for more than eight things at once is no news.
    logging.getLogger("waitress").setLevel(logging.ERROR)
    app = application(prometheus, only=only, runbooks=runbooks, local=host in LOOPBACK)
    try:
        server = waitress.create_server(app, host=host, port=port, threads=_THREADS, ident=None)
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"cannot listen on {host}:{port}: {why}; choose another port") from error
    server.run()


def _read_only(server: Flask, pages: set[str]) -> None:
    @server.before_request
    def refuse() -> None:
        if request.path not in pages | _OWN_PATHS and not request.path.startswith(_FILES):
            abort(404)
        if request.method not in ("GET", "HEAD") and (request.method, request.path) != (
            "POST",
            _CALLBACK,
        ):
            abort(405)


def _known_by_address(server: Flask) -> None:
    @server.before_request
    def refuse() -> None:
        # Another site's name that leads here would make a browser take its scripts for ours.
        try:
            name = urlsplit(f"//{request.headers.get('Host', '')}").hostname
        except ValueError:
            name = None
        if name not in LOOPBACK:
            abort(403, "As Host only 127.0.0.1, localhost or [::1] is taken, also from a proxy.")


def _headers(server: Flask, own_scripts: str) -> None:
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {own_scripts}",
            # Plotly and Dash write styles into the page.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )

    @server.after_request
    def add(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = policy
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["X-Frame-Options"] = "DENY"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not request.path.startswith(_FILES):
            answer.headers["Cache-Control"] = "no-store"
        return answer
