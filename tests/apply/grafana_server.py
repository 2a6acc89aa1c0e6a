"""An HTTP server that answers as Grafana's documentation says, and refuses what Grafana refuses.

Folders, permissions, teams, dashboards, search, public dashboards and queries, as far as they are used;
what is asked of a data source is asked of the Prometheus behind it.
https://grafana.com/docs/grafana/latest/developers/http_api/
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from data_frames import PROMETHEUS, answered, moment

Json = dict[str, Any]
TOKEN = "glsa_test"
UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
PERMISSIONS = {1, 2, 4}


class Refusal(Exception):
    """An answer other than 200: a status, a message, and Grafana's word for the case."""

    def __init__(self, status: int, message: str, /, **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **more}


def need(condition: bool, status: int, message: str, /, **more: str) -> None:
    if not condition:
        raise Refusal(status, message, **more)


def only(body: Json, *names: str) -> None:
    need(isinstance(body, dict) and set(body) <= set(names), 400, f"bad request data: {body}")


@dataclass
class GrafanaServer:
    """What a Grafana knows. `writes` are the requests that changed something.

    `prometheus` has the address behind each data source by its uid, `members` how many are in a team,
    `team_tokens` the team of a token that is no administrator's.
    """

    data_sources: list[Json] = field(default_factory=list)
    teams: dict[int, str] = field(default_factory=dict)
    folders: dict[str, Json] = field(default_factory=dict)
    permissions: dict[str, list[Json]] = field(default_factory=dict)
    boards: dict[str, Json] = field(default_factory=dict)
    public: dict[str, Json] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    prometheus: dict[str, str] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    team_tokens: dict[str, str] = field(default_factory=dict)
    board_permissions: dict[str, list[Json]] = field(default_factory=dict)
    anonymous: bool = False
    least_refresh: str = "5s"

    def add_data_source(self, uid: str, kind: str = "prometheus", *, default: bool = False) -> None:
        self.data_sources.append(
            {"uid": uid, "type": kind, "name": uid, "isDefault": default, "access": "proxy"}
        )

    def save(self, dashboard: Json, folder: str = "", **meta: Any) -> None:
        """Somebody saves a dashboard."""
        uid = dashboard["uid"]
        version = self.boards[uid]["dashboard"]["version"] + 1 if uid in self.boards else 1
        # As newer versions do, it says more than it was told.
        stored = {"preload": False, **dashboard, "id": len(uid), "version": version}
        self.boards[uid] = {"dashboard": stored, "meta": {"folderUid": folder, **meta}}

    # Each of these answers one route.

    def get_datasources(self, _: Json) -> Any:
        return self.data_sources

    def search_teams(self, asked: Json) -> Any:
        found = [
            {"id": number, "name": name, "orgId": 1, "memberCount": self.members.get(name, 0)}
            for number, name in self.teams.items()
            if "name" not in asked or asked["name"] == name
        ]
        return {"totalCount": len(found), "teams": found, "page": 1, "perPage": 1000}

    def create_team(self, body: Json) -> Any:
        only(body, "name", "email", "orgId")
        need(bool(body.get("name")), 400, "bad request data")
        need(body["name"] not in self.teams.values(), 409, "Team name taken")
        number = len(self.teams) + 1
        self.teams[number] = body["name"]
        return {"message": "Team created", "teamId": number, "uid": f"team{number}"}

    def get_folder(self, _: Json, uid: str) -> Any:
        need(uid in self.folders, 404, "folder not found", status="not-found")
        return self.folders[uid]

    def create_folder(self, body: Json) -> Any:
        only(body, "uid", "title", "parentUid", "description")
        need(bool(body.get("title")), 400, "folder title cannot be empty")
        need(UID.fullmatch(body["uid"]) is not None, 400, "uid contains illegal characters")
        need(body["uid"] not in self.folders, 409, "a folder with the same uid exists")
        self.folders[body["uid"]] = {"uid": body["uid"], "title": body["title"], "version": 1}
        self.permissions[body["uid"]] = [
            {"role": "Admin", "permission": 4},
            {"role": "Editor", "permission": 2},
            {"role": "Viewer", "permission": 1},
            {"userId": 7, "userLogin": "sa-deployer", "permission": 4},
        ]
        return self.folders[body["uid"]]

    def update_folder(self, body: Json, uid: str) -> Any:
        only(body, "title", "version", "overwrite", "description")
        folder = self.get_folder({}, uid)
        same = bool(body.get("overwrite")) or body.get("version") == folder["version"]
        need(same, 412, "the folder has been changed by someone else", status="version-mismatch")
        folder.update(title=body["title"], version=folder["version"] + 1)
        return folder

    def get_permissions(self, _: Json, uid: str) -> Any:
        self.get_folder({}, uid)
        return [
            {"uid": uid, "inherited": False, "team": self.teams.get(item.get("teamId", 0), ""), **item}
            for item in self.permissions[uid]
        ]  # fmt: skip

    def set_permissions(self, body: Json, uid: str) -> Any:
        only(body, "items")
        self.get_folder({}, uid)
        for item in body["items"]:
            only(item, "role", "teamId", "userId", "permission")
            need(len(item) == 2 and item["permission"] in PERMISSIONS, 400, "bad permission")
            need(item.get("role") in (None, "Viewer", "Editor"), 400, "bad role")
            need("teamId" not in item or item["teamId"] in self.teams, 404, "team not found")
        self.permissions[uid] = body["items"]
        return {"message": "Folder permissions updated"}

    def get_board(self, _: Json, uid: str) -> Any:
        need(uid in self.boards, 404, "Dashboard not found", status="not-found")
        return self.boards[uid]

    def get_board_permissions(self, _: Json, uid: str) -> Any:
        """Those of its folder, and its own."""
        folder = self.get_board({}, uid)["meta"]["folderUid"]
        above = [{**item, "inherited": True} for item in self.get_permissions({}, folder)]
        return above + self.board_permissions.get(uid, [])

    def get_settings(self, _: Json) -> Any:
        return {"buildInfo": {"version": "11.4.0"}, "minRefreshInterval": self.least_refresh}

    def get_health(self, _: Json, uid: str) -> Any:
        try:
            PROMETHEUS.get(f"{self.prometheus[uid]}/api/v1/query?query=1").raise_for_status()
        except httpx.HTTPError as error:
            raise Refusal(400, f"Get {self.prometheus[uid]}: {error}", status="ERROR") from error
        return {"message": "Successfully queried the Prometheus API.", "status": "OK"}

    def query(self, body: Json) -> Any:
        """Data frames, as the Prometheus data source makes them."""
        only(body, "queries", "from", "to")
        need(bool(body["queries"]), 400, "no queries found")
        start, end = moment(body["from"]), moment(body["to"])
        results = {
            one["refId"]: answered(self.prometheus[one["datasource"]["uid"]], one, start, end)
            for one in body["queries"]
        }
        wrong = [one for one in results.values() if "error" in one]
        if wrong:
            refusal = Refusal(400, "")
            refusal.body = {"results": results}
            raise refusal
        return {"results": results}

    def get_public_board(self, _: Json, token: str) -> Any:
        (uid,) = [u for u, one in self.public.items() if one["accessToken"] == token] or [""]
        need(bool(uid) and self.public[uid]["isEnabled"], 404, "Public dashboard not found")
        return {**self.boards[uid], "meta": {"publicDashboardEnabled": True}}

    def query_public(self, body: Json, token: str, number: str) -> Any:
        only(body, "intervalMs", "maxDataPoints", "timeRange", "queryCachingTTL")
        board = self.get_public_board({}, token)["dashboard"]
        (panel,) = [one for one in board["panels"] if one["id"] == int(number)]
        return self.query({"queries": panel["targets"], **board["time"]})

    def may_see(self, uid: str, token: str | None) -> bool:
        """Whether somebody who is no administrator may look at a dashboard."""
        if token not in self.team_tokens:
            return token is None and self.anonymous
        team = self.team_tokens[token]
        return any(
            item.get("role") == "Viewer" or item.get("team") == team
            for item in self.get_board_permissions({}, uid)
        )

    def save_board(self, body: Json) -> Any:
        only(body, "dashboard", "folderUid", "message", "overwrite")
        told, folder = body["dashboard"], body.get("folderUid", "")
        need(bool(told.get("title")), 400, "Dashboard title cannot be empty", status="empty-name")
        need(UID.fullmatch(told["uid"]) is not None, 400, "uid contains illegal characters")
        need(folder in self.folders, 400, "folder not found")
        there = self.boards.get(told["uid"])
        if there is None:
            need(told.get("id") is None, 404, "Dashboard not found", status="not-found")
        else:
            need(not there["meta"].get("provisioned"), 400, "Cannot save provisioned dashboard")
            same = told.get("version") == there["dashboard"]["version"] or bool(
                body.get("overwrite")
            )
            changed = "The dashboard has been changed by someone else"
            need(same, 412, changed, status="version-mismatch")
        self.save(told, folder)
        saved = self.boards[told["uid"]]["dashboard"]
        return {name: saved[name] for name in ("id", "uid", "version")} | {"status": "success"}

    def delete_board(self, _: Json, uid: str) -> Any:
        title = self.get_board({}, uid)["dashboard"]["title"]
        del self.boards[uid]
        return {"title": title, "message": f"Dashboard {title} deleted"}

    def search(self, asked: Json) -> Any:
        only(asked, "type", "tag", "limit", "query")
        need(asked.get("type") == "dash-db" and int(asked["limit"]) <= 5000, 400, "bad search")
        return [
            {"uid": uid, "title": board["dashboard"]["title"], "type": "dash-db"}
            for uid, board in self.boards.items()
            if asked["tag"] in board["dashboard"].get("tags", [])
        ]

    def get_public(self, _: Json, uid: str) -> Any:
        need(uid in self.public, 404, "Public dashboard not found")
        return self.public[uid]

    def create_public(self, body: Json, uid: str) -> Any:
        self._check_sharing(body, uid)
        need(uid not in self.public, 400, "Dashboard has public dashboard already")
        self.public[uid] = {
            "uid": f"pub-{uid}",
            "accessToken": uuid.uuid5(uuid.NAMESPACE_URL, uid).hex,
            **body,
        }
        return self.public[uid]

    def update_public(self, body: Json, uid: str, public_uid: str) -> Any:
        self._check_sharing(body, uid)
        need(self.get_public({}, uid)["uid"] == public_uid, 404, "Public dashboard not found")
        self.public[uid].update(body)
        return self.public[uid]

    def _check_sharing(self, body: Json, uid: str) -> None:
        only(body, "isEnabled", "share", "timeSelectionEnabled", "annotationsEnabled")
        variables = self.get_board({}, uid)["dashboard"]["templating"]["list"]
        need(not variables, 400, "Public dashboard has template variables")


Route = Callable[..., Any]
# Answered to whoever asks.
OPEN: list[tuple[str, str, Route]] = [
    ("GET", r"/api/public/dashboards/(\w+)", GrafanaServer.get_public_board),
    ("POST", r"/api/public/dashboards/(\w+)/panels/(\d+)/query", GrafanaServer.query_public),
]
ROUTES: list[tuple[str, str, Route]] = [
    ("GET", r"/api/datasources", GrafanaServer.get_datasources),
    ("GET", r"/api/datasources/uid/([^/]+)/health", GrafanaServer.get_health),
    ("POST", r"/api/ds/query", GrafanaServer.query),
    ("GET", r"/api/frontend/settings", GrafanaServer.get_settings),
    ("GET", r"/api/teams/search", GrafanaServer.search_teams),
    ("POST", r"/api/teams", GrafanaServer.create_team),
    ("GET", r"/api/folders/([^/]+)", GrafanaServer.get_folder),
    ("POST", r"/api/folders", GrafanaServer.create_folder),
    ("PUT", r"/api/folders/([^/]+)", GrafanaServer.update_folder),
    ("GET", r"/api/folders/([^/]+)/permissions", GrafanaServer.get_permissions),
    ("POST", r"/api/folders/([^/]+)/permissions", GrafanaServer.set_permissions),
    ("GET", r"/api/dashboards/uid/([^/]+)", GrafanaServer.get_board),
    ("GET", r"/api/dashboards/uid/([^/]+)/permissions", GrafanaServer.get_board_permissions),
    ("POST", r"/api/dashboards/db", GrafanaServer.save_board),
    ("DELETE", r"/api/dashboards/uid/([^/]+)", GrafanaServer.delete_board),
    ("GET", r"/api/search", GrafanaServer.search),
    ("GET", r"/api/dashboards/uid/([^/]+)/public-dashboards", GrafanaServer.get_public),
    ("POST", r"/api/dashboards/uid/([^/]+)/public-dashboards", GrafanaServer.create_public),
    ("PATCH", r"/api/dashboards/uid/([^/]+)/public-dashboards/([^/]+)", GrafanaServer.update_public),
]  # fmt: skip


class Serving:
    """`grafana` behind a port of the loopback address, as a context manager; `url` is its address."""

    def __init__(self, grafana: GrafanaServer) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(grafana))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Serving:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(grafana: GrafanaServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # The answer in one piece: else each waits for the client's delayed acknowledgement.
        wbufsize = -1

        def _answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            text = self.rfile.read(length)
            try:
                status, body = 200, self.answered(json.loads(text) if text else None)
            except Refusal as refusal:
                status, body = refusal.status, refusal.body
            answer = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def answered(self, body: Json | None) -> Any:
            url = urlsplit(self.path)
            routes = OPEN if url.path.startswith("/api/public/") else ROUTES
            if routes is ROUTES:
                self._check_rights(url.path)
            for method, pattern, route in routes:
                found = re.fullmatch(pattern, url.path)
                if method == self.command and found:
                    reads = method == "GET"
                    need(reads or method == "DELETE" or body is not None, 400, "bad request data")
                    told = dict(parse_qsl(url.query)) if reads else body or {}
                    answer = route(grafana, told, *found.groups())
                    if not reads and not url.path.endswith("/query"):
                        grafana.writes.append(f"{method} {url.path}")
                    return answer
            raise Refusal(404, "Not found")

        def _check_rights(self, path: str) -> None:
            told = self.headers.get("authorization")
            token = told.removeprefix("Bearer ") if told else None
            if token == TOKEN:
                return
            board = re.fullmatch(r"/api/dashboards/uid/([^/]+)", path)
            if board and board[1] in grafana.boards and grafana.may_see(board[1], token):
                return
            known = token in grafana.team_tokens
            need(known, 401, "Unauthorized", messageId="api-key.invalid")
            raise Refusal(403, "You'll need additional permissions to perform this action")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for the tests."""

    return Handler
