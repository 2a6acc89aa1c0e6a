"""Grafana from 11 on: folders by team with their permissions, and the dashboards in them.

https://grafana.com/docs/grafana/latest/developers/http_api/. Data sources are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal
from urllib.parse import urlencode

from otel_accubooks.apply.change import Change, difference
from otel_accubooks.contract.panel import Team
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.grafana import dashboards
from otel_accubooks.vendors.grafana.folders import FOLDERS, MARK, Folder, is_ours, team_name, uid
from otel_accubooks.vendors.grafana.provisioning import DATA_SOURCE_UID

Json = dict[str, Any]

_VIEW = 1
_VIEWERS = "Viewer"
# Everything that it finds is wanted: the most that Grafana gives in one answer.
_MOST = 5000
# What Grafana numbers itself.
_NUMBERED = ("id", "version")
_SHARED = {
    "isEnabled": True,
    "share": "public",
    "timeSelectionEnabled": False,
    "annotationsEnabled": False,
}


def changes(api: Api, to: Addresses, *, public: bool = False) -> Iterator[Change]:
    """What has to change, in this order: each is to be carried out before the next is asked for.

    With `public`, the public dashboards are shared with everybody who has their address; without
    it, what is shared stays so. Raises ApiError.
    """
    wanted = dashboards(to, data_source(api))
    for team in dict.fromkeys(team for f in FOLDERS if not f.public for team in f.teams):
        yield _team(api, team)
    for folder in FOLDERS:
        yield _folder(api, folder)
        yield _permissions(api, folder)
        for board in folder.boards:
            yield _dashboard(api, folder, wanted[uid(board.name)])
            if public and board.public:
                yield _sharing(api, wanted[uid(board.name)])
    yield from _no_longer_ours(api, wanted)


def data_source(api: Api) -> str:
    """The uid of the Prometheus that a dashboard without variables asks. Raises ApiError."""
    known = [one for one in api.ask("GET", "/api/datasources") if one["type"] == "prometheus"]
    chosen = (
        [one for one in known if one["uid"] == DATA_SOURCE_UID]
        or [one for one in known if one["isDefault"]]
        or known
    )
    if len(chosen) == 1:
        return str(chosen[0]["uid"])
    raise ApiError(
        f"{api.address} has {len(chosen) or 'no'} data sources of the type prometheus: "
        + ("make one of them the default" if chosen else "add the one that has the metrics")
    )


def _team(api: Api, team: Team) -> Change:
    name = team_name(team)

    def create() -> None:
        api.ask("POST", "/api/teams", {"name": name})

    known = _team_id(api, name) is not None
    return _change("team", name, {"name": name} if known else None, {"name": name}, create)


def _team_id(api: Api, name: str) -> int | None:
    found = api.ask("GET", f"/api/teams/search?{urlencode({'name': name})}")["teams"]
    return next((int(team["id"]) for team in found if team["name"] == name), None)


def _folder(api: Api, folder: Folder) -> Change:
    path = f"/api/folders/{folder.uid}"
    there = api.ask("GET", path, missing=None)

    def carry_out() -> None:
        if there is None:
            api.ask("POST", "/api/folders", {"uid": folder.uid, "title": folder.title})
        else:
            api.ask("PUT", path, {"title": folder.title, "version": there["version"]})

    before = None if there is None else {"title": there["title"]}
    return _change("folder", folder.title, before, {"title": folder.title}, carry_out)


def _permissions(api: Api, folder: Folder) -> Change:
    """Who may look into the folder; everybody else but administrators may not."""
    path = f"/api/folders/{folder.uid}/permissions"
    there = api.ask("GET", path, missing=None)

    def carry_out() -> None:
        items = (
            [{"role": _VIEWERS, "permission": _VIEW}]
            if folder.public
            else [
                {"teamId": _team_id(api, team_name(team)), "permission": _VIEW}
                for team in folder.teams
            ]
        )
        api.ask("POST", path, {"items": items})

    names = [_VIEWERS] if folder.public else [team_name(team) for team in folder.teams]
    kind = "role" if folder.public else "team"
    after = {f"{kind} {name}": _VIEW for name in names}
    before = None if there is None else dict(map(_permission, filter(_counts, there)))
    return _change("permissions of", folder.title, before, after, carry_out)


def _counts(item: Json) -> bool:
    """False for what comes from above, and for administrators, who may do everything anyway."""
    return not item.get("inherited") and item.get("role") != "Admin"


def _permission(item: Json) -> tuple[str, int]:
    if item.get("role"):
        return f"role {item['role']}", item["permission"]
    if item.get("teamId"):
        return f"team {item['team']}", item["permission"]
    return f"user {item['userLogin']}", item["permission"]


def _dashboard(api: Api, folder: Folder, wanted: Json) -> Change:
    there = api.ask("GET", f"/api/dashboards/uid/{wanted['uid']}", missing=None)

    def carry_out() -> None:
        # With the version that was compared: Grafana refuses if somebody saved another since.
        numbers = {"id": None} if there is None else _numbers(there["dashboard"])
        body = {"dashboard": wanted | numbers, "folderUid": folder.uid, "overwrite": False}
        api.ask("POST", "/api/dashboards/db", body)

    after = {"folderUid": folder.uid, **_said(wanted)}
    before = None
    if there is not None:
        before = {"folderUid": there["meta"]["folderUid"], **_same_part(there["dashboard"], wanted)}
    return _change("dashboard", wanted["title"], before, after, carry_out)


def _numbers(dashboard: Json) -> Json:
    return {name: dashboard[name] for name in _NUMBERED}


def _same_part(there: Any, wanted: Any) -> Any:
    """Of what Grafana has, what we say something about: it adds numbers and defaults by itself."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        said = _said(wanted)
        return {name: _same_part(there[name], said[name]) for name in said if name in there}
    if isinstance(there, list) and isinstance(wanted, list) and len(there) == len(wanted):
        return [_same_part(*pair) for pair in zip(there, wanted, strict=True)]
    return there


def _said(wanted: Any) -> Any:
    """Without null, which is the same as nothing."""
    if isinstance(wanted, dict):
        return {name: _said(value) for name, value in wanted.items() if value is not None}
    return [_said(value) for value in wanted] if isinstance(wanted, list) else wanted


def _sharing(api: Api, board: Json) -> Change:
    path = f"/api/dashboards/uid/{board['uid']}/public-dashboards"
    there = api.ask("GET", path, missing=None)

    def carry_out() -> None:
        if there is None:
            api.ask("POST", path, _SHARED)
        else:
            api.ask("PATCH", f"{path}/{there['uid']}", _SHARED)

    before = None if there is None else {name: there.get(name) for name in _SHARED}
    return _change("public access to", board["title"], before, _SHARED, carry_out)


def _no_longer_ours(api: Api, wanted: dict[str, Json]) -> Iterator[Change]:
    """Dashboards of ours that the contract no longer has. Copies that people made are theirs."""
    asked = urlencode({"type": "dash-db", "tag": MARK, "limit": _MOST})
    for found in api.ask("GET", f"/api/search?{asked}"):
        if is_ours(found["uid"]) and found["uid"] not in wanted:
            yield _deletion(api, found["uid"], found["title"])


def _deletion(api: Api, board_uid: str, title: str) -> Change:
    def carry_out() -> None:
        api.ask("DELETE", f"/api/dashboards/uid/{board_uid}")

    lines = difference({"uid": board_uid, "title": title}, None)
    return Change("delete", "dashboard", title, lines, carry_out)


def _change(
    kind: str, name: str, before: Json | None, after: Json, carry_out: Callable[[], None]
) -> Change:
    lines = difference(before, after)
    action: Literal["create", "update", "keep"] = (
        "create" if before is None else "update" if lines else "keep"
    )
    return Change(action, kind, name, lines, carry_out)
