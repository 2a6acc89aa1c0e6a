"""Who may see the dashboards of a Grafana: the public the executive one, the teams their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from otel_accubooks.apply.change import Change
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard, Team
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.grafana.folders import FOLDERS, team_name, uid
from otel_accubooks.verify.dashboards import TEAMS, access
from otel_accubooks.verify.grafana_frames import samples
from otel_accubooks.verify.look import Look, State
from otel_accubooks.verify.way import Site

Json = dict[str, Any]

_REFUSED = (401, 403, 404)
_VIEW = 1
# What changes the folders, and who may look into them.
_KINDS = ("team", "folder", "permissions of")


@dataclass(frozen=True)
class _Seen:
    """One thing that was seen, in words."""

    state: State
    said: str


def looks(api: Api, site: Site, done: list[Change]) -> Iterator[Look]:
    """One look for each team. `done` is what would have to be changed."""
    for team in TEAMS:
        boards = [board for board in DASHBOARDS if team in board.teams]
        shared = boards[0].public
        if shared and site.servers.public:
            # Somebody else shows it to the public.
            continue
        found = list(_public(api, boards[0]) if shared else _private(api, site, team, boards, done))
        worst = next(
            (one for state in ("failed", "unseen") for one in found if one.state == state), found[0]
        )
        said = worst.said if worst.state != "passed" else "; ".join(one.said for one in found)
        evidence = tuple(f"{one.state}: {one.said}" for one in found)
        yield Look(access(team), worst.state, f"Grafana: {said}", evidence)


def _public(api: Api, board: Dashboard) -> Iterator[_Seen]:
    """Fetched without a token, as anybody would: the page, and the data of a panel."""
    path = f"/api/dashboards/uid/{uid(board.name)}/public-dashboards"
    try:
        shared = api.ask("GET", path, missing=None)
    except ApiError as error:
        yield _Seen("unseen", f"it cannot be seen whether {board.title} is public: {error}")
        return
    if not (shared and shared.get("isEnabled")):
        yield _Seen(
            "failed",
            f"{board.title} is not public: share it with `otel-accubooks apply grafana --public`",
        )
        return
    anybody = Api(api.address, {})
    try:
        yield _seen_by_anybody(anybody, board, f"/api/public/dashboards/{shared['accessToken']}")
    except ApiError as error:
        yield _Seen("failed", f"{board.title} is shared, and cannot be seen by the public: {error}")
    finally:
        anybody.close()


def _seen_by_anybody(anybody: Api, board: Dashboard, path: str) -> _Seen:
    there = anybody.ask("GET", path)["dashboard"]
    if there.get("title") != board.title:
        return _Seen("failed", f"public is {there.get('title')!r}, expected {board.title!r}")
    asking = [one for one in there.get("panels", ()) if one.get("targets")]
    if not asking:
        return _Seen("failed", f"the public {board.title} has no panels that ask anything")
    body = {"intervalMs": 15_000, "maxDataPoints": 240}
    empty = []
    for panel in asking:
        answers = anybody.ask("POST", f"{path}/panels/{panel['id']}/query", body)["results"]
        wrong = [one["error"] for one in answers.values() if one.get("error")]
        if wrong:
            return _Seen("failed", f"the public {board.title}: {panel['title']}: {wrong[0]}")
        if panel.get("type") != "table" and not any(map(samples, answers.values())):
            empty.append(panel["title"])
    if empty:
        return _Seen("failed", f"the public {board.title} shows no data in {', '.join(empty)}")
    return _Seen("passed", f"{board.title} is seen without signing in, with its data")


def _private(
    api: Api, site: Site, team: Team, boards: list[Dashboard], done: list[Change]
) -> Iterator[_Seen]:
    yield from _by_permission(api, team, done)
    variable = f"GRAFANA_TOKEN_{team.upper()}"
    if token := site.environ.get(variable):
        yield from _with_token(api.address, variable, token, team)
    for board in boards:
        yield from _hidden(api, board)


def _by_permission(api: Api, team: Team, done: list[Change]) -> Iterator[_Seen]:
    """The folders' rights are the contract's, and somebody is in the team."""
    titles = {folder.title for folder in FOLDERS if team in folder.teams} | {team_name(team)}
    wrong = [one for one in done if one.kind in _KINDS and one.name in titles]
    named = [f"{one.kind} {one.name}" for one in wrong if one.action != "keep"]
    name = team_name(team)
    if named:
        yield _Seen(
            "failed",
            f"team {name} may not see what it should, or others may: {', '.join(named)} differ from"
            " the contract; bring them with `otel-accubooks apply grafana`",
        )
        return
    try:
        found = api.ask("GET", f"/api/teams/search?{urlencode({'name': name})}")["teams"]
    except ApiError as error:
        yield _Seen("unseen", f"it cannot be seen who is in team {name}: {error}")
        return
    members = next((one.get("memberCount", 0) for one in found if one["name"] == name), 0)
    if not members:
        yield _Seen(
            "failed",
            f"team {name} has no members, so nobody has its access: add its people in Grafana",
        )
        return
    yield _Seen("passed", f"team {name}, {members} members, may see its dashboards")


def _with_token(address: str, variable: str, token: str, team: Team) -> Iterator[_Seen]:
    """As somebody of the team: its own are there, those of others are not."""
    for board in DASHBOARDS:
        status = _status(address, board, token)
        if team in board.teams or board.public:
            state: State = "passed" if status == httpx.codes.OK else "failed"
            told = "is seen" if state == "passed" else f"is not seen (status {status})"
            yield _Seen(state, f"{board.title} {told} with ${variable}")
        elif status not in _REFUSED:
            yield _Seen(
                "failed",
                f"{board.title} is seen with ${variable} too (status {status}): expected it to be for"
                f" {' and '.join(board.teams)}; is the token that of an administrator?",
            )


def _hidden(api: Api, board: Dashboard) -> Iterator[_Seen]:
    """Who does not sign in does not see it."""
    path = f"/api/dashboards/uid/{uid(board.name)}"
    try:
        shared = api.ask("GET", f"{path}/public-dashboards", missing=None)
        rights: list[Json] = api.ask("GET", f"{path}/permissions", missing=[])
    except ApiError as error:
        yield _Seen("unseen", f"it cannot be seen who else may see {board.title}: {error}")
        return
    if shared and shared.get("isEnabled"):
        yield _Seen(
            "failed", f"{board.title} is shared with the public: end that in Grafana, under Share"
        )
    everybody = [one for one in rights if one.get("role") in ("Viewer", "Editor")]
    if any(one.get("permission", 0) >= _VIEW for one in everybody):
        yield _Seen(
            "failed",
            f"everybody who signs in sees {board.title} (role {everybody[0]['role']}): expected its"
            f" teams alone, {' and '.join(board.teams)}; take the right away in Grafana",
        )
    status = _status(api.address, board, None)
    if status == httpx.codes.OK:
        yield _Seen(
            "unseen",
            f"anonymous access is on: everybody who reaches {api.address} sees {board.title}; turn"
            " [auth.anonymous] off, or confirm that its teams alone reach it",
        )
    elif status not in _REFUSED:
        yield _Seen("failed", f"{board.title} without a token: status {status}, expected 401")


def _status(address: str, board: Dashboard, token: str | None) -> int:
    """With which status the dashboard is answered; 0 where there is no answer."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        url = f"{address}/api/dashboards/uid/{uid(board.name)}"
        return httpx.get(url, headers=headers, timeout=30).status_code
    except httpx.HTTPError:
        return 0
