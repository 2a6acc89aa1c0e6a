"""The widgets of our dashboards in Datadog, each of their queries asked as the page asks it.

https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-data-across-multiple-products
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from otel_accubooks.apply.datadog import our_dashboards
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.contract.query import DAY, HOUR
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.datadog.curves import SCOPE
from otel_accubooks.vendors.datadog.panels import widgets

Json = dict[str, Any]

_SPANS = {"1h": HOUR, "1d": DAY}
_INTERVAL_MS = 60_000


def faults_of(api: Api, board: Dashboard, scope: str) -> dict[str, str]:
    """What is wrong with panels, by their titles: what shows data in each of its queries is not named.

    `scope` stands for the dashboard's variable. Raises ApiError.
    """
    identity = our_dashboards(api).get(board.name)
    if identity is None:
        return dict.fromkeys((panel.title for panel in board.panels), "the dashboard is not there")
    there = {
        widget["definition"].get("title"): widget["definition"]
        for section in api.ask("GET", f"/api/v1/dashboard/{identity}")["widgets"]
        for widget in section["definition"].get("widgets", ())
    }
    faults = {}
    for panel in board.panels:
        # A panel is one widget, or several.
        for one in widgets(panel):
            fault = _fault(api, there.get(one["title"]), board.span, scope)
            if fault:
                faults[panel.title] = fault
    return faults


def _fault(api: Api, definition: Json | None, span: float, scope: str) -> str:
    if definition is None:
        return "the widget is not there"
    try:
        if definition["type"] == "manage_status":
            asked = urlencode({"query": definition["query"]})
            found = api.ask("GET", f"/api/v1/monitor/search?{asked}").get("monitors")
            return "" if found else f"no monitor is found by {definition['query']}"
        for request in definition.get("requests", ()):
            if fault := _unanswered(api, request, definition, span, scope):
                return fault
    except ApiError as error:
        return str(error)
    return "" if definition.get("requests") else "the widget asks nothing"


def _unanswered(api: Api, request: Json, definition: Json, span: float, scope: str) -> str:
    if request["response_format"] == "event_list":
        query = {"query": request["query"]["query_string"], "from": "now-1d", "to": "now"}
        body = {"filter": query, "page": {"limit": 1}}
        # That no alert fired is an answer, too.
        return "" if "data" in api.ask("POST", "/api/v2/events/search", body) else "no answer"
    live = (definition.get("time") or {}).get("live_span", "")
    now = time.time()
    kind = "scalar" if request["response_format"] == "scalar" else "timeseries"
    attributes = {
        "from": int(1000 * (now - _SPANS.get(live, span))),
        "to": int(1000 * now),
        "queries": [
            one | {"query": one["query"].replace(SCOPE, scope)} for one in request["queries"]
        ],
        "formulas": [{"formula": one["formula"]} for one in request["formulas"]],
    }
    if kind == "timeseries":
        attributes["interval"] = _INTERVAL_MS
    body = {"data": {"type": f"{kind}_request", "attributes": attributes}}
    answer = api.ask("POST", f"/api/v2/query/{kind}", body)
    if answer.get("errors"):
        return str(answer["errors"])
    told = answer["data"]["attributes"]
    columns = told.get("values") or [
        one["values"] for one in told.get("columns") or () if one["type"] == "number"
    ]
    if any(value is not None for column in columns for value in column):
        return ""
    return f"nothing for {request['formulas'][0]['formula']} of {request['queries'][0]['query']}"
