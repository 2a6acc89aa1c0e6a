"""Datadog's API as far as it is spoken to, on this machine: as strict as its documentation.

Monitors, dashboards, Synthetics tests and tag configurations are kept, and given back with what the real
one adds: fields of its own, tags in lower case, numbers as floats, the newest first.
"""

from __future__ import annotations

import copy
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.apply.datadog_points import Points, Refused
from tests.apply.datadog_settings import Settings

KEYS = {"DD-API-KEY": "api-key", "DD-APPLICATION-KEY": "app-key"}
WHEN = "2026-11-22T22:00:00.000000+00:00"

MONITOR_KEYS = {"name", "type", "query", "message", "tags", "priority", "options"}
METRIC_OPTIONS = {
    "thresholds", "require_full_window", "on_missing_data", "group_retention_duration",
    "new_group_delay", "evaluation_delay", "include_tags", "notify_audit", "renotify_interval",
    "renotify_statuses",
}  # fmt: skip
COMPOSITE_OPTIONS = {
    "notify_no_data", "include_tags", "notify_audit", "renotify_interval", "renotify_statuses",
}  # fmt: skip
MISSING_DATA = {"default", "show_no_data", "show_and_notify_no_data", "resolve"}
WIDGETS = {
    "timeseries": {"markers", "yaxis", "show_legend", "time", "requests"},
    "query_value": {"autoscale", "precision", "timeseries_background", "time", "requests"},
    "toplist": {"time", "requests"},
    "sunburst": {"legend", "time", "requests"},
    "list_stream": {"time", "requests"},
    "manage_status": {
        "query", "display_format", "summary_type", "color_preference", "sort", "hide_zero_counts",
        "show_last_triggered",
    },
}  # fmt: skip
REQUEST_KEYS = {
    "response_format", "queries", "formulas", "display_type", "sort", "columns", "query"
}  # fmt: skip
WINDOW = r"last_\d+[mhd]"
METRIC_QUERY = re.compile(
    rf"^((avg|sum|min|max|percentile)\({WINDOW}\)|(pct_)?change\(avg\({WINDOW}\),\w+_ago\)):"
    r".*\{.*\}.* (>=|<=|==|<|>) -?[\d.]+$"
)


class Account:
    """What is in it, and what was asked: (method, path) of each request."""

    def __init__(self) -> None:
        self.monitors: dict[int, Any] = {}
        self.dashboards: dict[str, Any] = {}
        self.tests: dict[str, Any] = {}
        self.tags: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []
        self.busy = 0  # so many requests are answered 429
        self.points = Points()
        self.settings = Settings()
        self._numbers = iter(range(1000, 10**9))

    @property
    def written(self) -> list[tuple[str, str]]:
        return [one for one in self.asked if one[0] != "GET"]

    def answer(self, method: str, url: str, body: Any) -> Any:
        split = urlsplit(url)
        asked = {key: values[0] for key, values in parse_qs(split.query).items()}
        for pattern, handle in (
            (r"/api/v1/monitor(?:/(\d+))?", self._monitor),
            (r"/api/v1/dashboard(?:/([a-z0-9-]+))?", self._dashboard),
            (r"/api/v1/synthetics/tests/delete()", self._delete_tests),
            (r"/api/v1/synthetics/tests(?:/api(?:/([a-z0-9-]+))?)?", self._test),
            (r"/api/v2/metrics/([a-z0-9_.]+)/tags", self._tags),
            (r"/api/v1/validate()", lambda *_: {"valid": True}),
            (r"/api/v1/query()", lambda _, __, ___, told: self.points.query(told)),
            (
                r"/api/v2/query/(timeseries|scalar)",
                lambda _, kind, told, __: self.points.formulas(kind, told),
            ),
            (r"/api/v1/monitor/search()", self._search_monitors),
            (r"/api/v2/events/search()", lambda *_: {"data": [], "meta": {"page": {}}}),
            (r"/api/v1/integration/(.+)", lambda _, path, *__: self.settings.integration(path)),
            (r"/api/v2/integration/(opsgenie/services)", lambda *_: self.settings.opsgenie()),
            (
                r"/api/v2/dashboard/([a-z0-9-]+)/shared",
                lambda _, name, *__: self.settings.shares(name),
            ),
            (
                r"/api/v2/restriction_policy/dashboard:([a-z0-9-]+)",
                lambda _, name, *__: self.settings.policy(name),
            ),
            (r"/api/v2/team()", lambda *_: self.settings.team_list()),
        ):
            if found := re.fullmatch(pattern, split.path):
                return handle(method, found[1], body, asked)
        raise Refused(404, f"no such path: {split.path}")

    def _monitor(self, method: str, number: str | None, body: Any, asked: dict[str, str]) -> Any:
        if method == "GET":
            wanted = asked["monitor_tags"].lower()
            found = [one for one in self.monitors.values() if wanted in one["tags"]]
            size, page = int(asked["page_size"]), int(asked["page"])
            return found[::-1][page * size : (page + 1) * size]
        identity = int(number) if number else next(self._numbers)
        if number and identity not in self.monitors:
            raise Refused(404, "Monitor not found")
        if method == "DELETE":
            if users := [m["name"] for m in self._composites() if number in m["query"]]:
                raise Refused(
                    400, f"monitor [{number}] is referenced in composite monitors: {users}"
                )
            del self.monitors[identity]
            return {"deleted_monitor_id": identity}
        if number and body["type"] != self.monitors[identity]["type"]:
            raise Refused(400, "Monitor type cannot be changed")
        self._check_monitor(body)
        self.monitors[identity] = _as_monitor(body, identity)
        return self.monitors[identity]

    def _search_monitors(self, _: str, __: str, ___: Any, asked: dict[str, str]) -> Any:
        (tag,) = re.findall(r'tag:"([^"]+)"', asked["query"])
        found = [one for one in self.monitors.values() if tag in one["tags"]]
        return {"monitors": found, "metadata": {"total_count": len(found), "page": 0}}

    def _composites(self) -> list[Any]:
        return [one for one in self.monitors.values() if one["type"] == "composite"]

    def _check_monitor(self, body: Any) -> None:
        known(body, MONITOR_KEYS, "monitor")
        require(body["type"] in ("query alert", "composite"), f"type {body['type']}")
        require(body["priority"] in (None, 1, 2, 3, 4, 5), "priority")
        options = body["options"]
        again = options["renotify_interval"]
        require(again is None or 10 <= again <= 1440, "renotify_interval")
        if body["type"] == "composite":
            known(options, COMPOSITE_OPTIONS, "options")
            require(re.fullmatch(r"[\d!&|() ]+", body["query"]), f"query {body['query']}")
            numbers = [int(one) for one in re.findall(r"\d+", body["query"])]
            require(1 <= len(numbers) <= 10, "2 to 10 monitors")
            for one in numbers:
                require(one in self.monitors, f"no monitor {one}")
                require(self.monitors[one]["type"] != "composite", f"{one} is composite")
            return
        known(options, METRIC_OPTIONS, "options")
        require(options["on_missing_data"] in MISSING_DATA, "on_missing_data")
        query = body["query"]
        require(
            METRIC_QUERY.match(query),
            f"The value provided for parameter 'query' is invalid: {query}",
        )
        threshold = float(query.rsplit(" ", 1)[1])
        require(
            threshold == options["thresholds"]["critical"], "Alert threshold is not the query's"
        )
        require(".as_count()" not in query or query.startswith("sum("), "as_count() needs sum")
        for metric in re.findall(r"\bp\d+:(\w+)\{", query):
            on = metric in self.tags and self.tags[metric]["include_percentiles"]
            require(on, f"percentiles are not enabled for {metric}")

    def _dashboard(self, method: str, name: str | None, body: Any, asked: dict[str, str]) -> Any:
        if method == "GET" and name is None:
            start, count = int(asked["start"]), int(asked["count"])
            summary = ("id", "title", "description", "layout_type", "url", "created_at")
            found = [{key: one[key] for key in summary} for one in self.dashboards.values()]
            return {"dashboards": found[::-1][start : start + count]}
        if name is not None and name not in self.dashboards:
            raise Refused(404, f"Dashboard with ID {name} not found")
        if method == "DELETE":
            del self.dashboards[name or ""]
            return {"deleted_dashboard_id": name}
        if method != "GET":
            check_dashboard(body)
            name = name or f"abc-{next(self._numbers)}-xyz"
            self.dashboards[name] = _as_dashboard(body, name, self._numbers)
        return self.dashboards[name or ""]

    def _test(self, method: str, name: str | None, body: Any, asked: dict[str, str]) -> Any:
        if method == "GET" and name is None:
            size, page = int(asked["page_size"]), int(asked["page_number"])
            return {"tests": list(self.tests.values())[page * size : (page + 1) * size]}
        if name is not None and name not in self.tests:
            raise Refused(404, "Synthetics test not found")
        if method != "GET":
            check_test(body)
            number = self.tests[name]["monitor_id"] if name else next(self._numbers)
            name = name or f"abc-def-{number}"
            self.tests[name] = _as_test(body, name, number)
            self.monitors[number] = {
                "id": number, "type": "synthetics alert", "name": body["options"]["monitor_name"],
                "tags": _lower(body["tags"]), "query": "no_query", "options": {},
            }  # fmt: skip
        return self.tests[name or ""]

    def _delete_tests(self, method: str, _: str, body: Any, __: dict[str, str]) -> Any:
        require(method == "POST", "POST")
        for name in body["public_ids"]:
            del self.monitors[self.tests.pop(name)["monitor_id"]]
        return {"deleted_tests": [{"public_id": name} for name in body["public_ids"]]}

    def _tags(self, method: str, metric: str, body: Any, _: dict[str, str]) -> Any:
        there = metric in self.tags
        if method in ("GET", "PATCH") and not there:
            raise Refused(404, "Not found")
        if method == "POST" and there:
            raise Refused(409, f"{metric} has a configuration")
        if method != "GET":
            known(body, {"data"}, "body")
            known(body["data"], {"type", "id", "attributes"}, "data")
            require((body["data"]["type"], body["data"]["id"]) == ("manage_tags", metric), "data")
            attributes = body["data"]["attributes"]
            keys = {"include_percentiles", "tags", "exclude_tags_mode"}
            known(attributes, keys | ({"metric_type"} if method == "POST" else set()), "attributes")
            kept = self.tags.get(metric, {"created_at": WHEN, "exclude_tags_mode": False})
            self.tags[metric] = {**kept, **attributes, "modified_at": WHEN}
        data = {"type": "manage_tags", "id": metric, "attributes": self.tags[metric]}
        return {"data": data}


def known(body: Any, keys: set[str], what: str) -> None:
    if unknown := sorted(set(body) - keys):
        raise Refused(400, f"{what}: unknown {', '.join(unknown)}")


def require(holds: Any, what: str) -> None:
    if not holds:
        raise Refused(400, what)


def check_dashboard(body: Any) -> None:
    known(
        body,
        {"title", "description", "layout_type", "reflow_type", "default_timeframe",
         "template_variables", "tags", "notify_list", "widgets"},
        "dashboard",
    )  # fmt: skip
    require(body["layout_type"] == "ordered" and body["reflow_type"] == "auto", "layout")
    require(len(body["tags"]) <= 5 and all(t.startswith("team:") for t in body["tags"]), "tags")
    for section in body["widgets"]:
        group = section["definition"]
        known(group, {"type", "title", "layout_type", "widgets"}, "group")
        for widget in group["widgets"]:
            require("layout" not in widget, "layout with reflow_type auto")
            definition = widget["definition"]
            require(definition["type"] in WIDGETS, f"widget {definition['type']}")
            known(definition, {"type", "title"} | WIDGETS[definition["type"]], "widget")
            for request in definition.get("requests", ()):
                known(request, REQUEST_KEYS, "request")


def check_test(body: Any) -> None:
    known(
        body,
        {"name", "type", "subtype", "status", "config", "locations", "message", "tags", "options"},
        "test",
    )
    require((body["type"], body["subtype"]) == ("api", "http"), "type")
    options = body["options"]
    require(30 <= options["tick_every"] <= 604800, "tick_every")
    require(0 <= options["min_failure_duration"] <= 7200, "min_failure_duration")
    require(options["min_location_failed"] <= len(body["locations"]), "min_location_failed")
    require(body["config"]["assertions"], "assertions")


def _lower(tags: list[str]) -> list[str]:
    return sorted((tag.lower() for tag in tags), reverse=True)


def _as_monitor(body: Any, number: int) -> Any:
    made = copy.deepcopy(body)
    options = made["options"]
    options |= {
        "silenced": {},
        "new_host_delay": 300,
        "notify_no_data": options.get("notify_no_data", False),
    }
    if "thresholds" in options:
        options["thresholds"]["critical"] = float(options["thresholds"]["critical"])
    return {
        **made, "id": number, "org_id": 7, "tags": _lower(made["tags"]), "created": WHEN,
        "modified": WHEN, "creator": {"handle": "a@b.example"}, "multi": True, "deleted": None,
        "overall_state": "No Data", "restricted_roles": None, "message": made["message"] + "\n",
    }  # fmt: skip


def _as_dashboard(body: Any, name: str, numbers: Iterator[int]) -> Any:
    made = copy.deepcopy(body)
    for section in made["widgets"]:
        section["id"] = next(numbers)
        for widget in section["definition"]["widgets"]:
            widget["id"] = next(numbers)
            widget["definition"] |= {"title_size": "16", "title_align": "left"}
    return {
        **made, "id": name, "url": f"/dashboard/{name}", "author_handle": "a@b.example",
        "created_at": WHEN, "modified_at": WHEN, "is_read_only": False, "restricted_roles": [],
        "notify_list": made["notify_list"] or None, "template_variable_presets": None,
    }  # fmt: skip


def _as_test(body: Any, name: str, number: int) -> Any:
    made = copy.deepcopy(body)
    made["options"] |= {"retry": {"count": 0, "interval": 300}, "httpVersion": "any"}
    return {
        **made, "public_id": name, "monitor_id": number, "tags": _lower(made["tags"]),
        "created_at": WHEN, "modified_at": WHEN, "creator": {"handle": "a@b.example"},
    }  # fmt: skip


class _Handler(http.server.BaseHTTPRequestHandler):
    account: Account

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        account = self.account
        if any(self.headers.get(name) != value for name, value in KEYS.items()):
            return self._send(403, {"errors": ["Forbidden"]})
        if account.busy:
            account.busy -= 1
            return self._send(429, {"errors": ["Rate limit exceeded"]})
        account.asked.append((self.command, urlsplit(self.path).path))
        try:
            return self._send(200, account.answer(self.command, self.path, body))
        except Refused as refused:
            return self._send(refused.status, {"errors": [str(refused)]})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _send(self, status: int, answer: Any) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if status == 429:
            self.send_header("X-RateLimit-Reset", "1")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@contextmanager
def serving(account: Account) -> Iterator[str]:
    """Its address, while it answers."""
    handler = type("Handler", (_Handler,), {"account": account})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
