"""Who may see our dashboards in Datadog: the public the executive one, the teams their own.

https://docs.datadoghq.com/api/latest/restriction-policies/, /dashboards/, /teams/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx

from otel_accubooks.apply.datadog import our_dashboards
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard, Team
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.verify.dashboards import TEAMS, access
from otel_accubooks.verify.finding import Finding
from otel_accubooks.verify.look import Look

Json = dict[str, Any]


def access_looks(api: Api) -> Iterator[Look]:
    """One for each team."""
    identities = our_dashboards(api)
    for team in TEAMS:
        finding = Finding(access(team))
        boards = [board for board in DASHBOARDS if team in board.teams]
        for board in boards:
            identity = identities.get(board.name)
            if identity is None:
                finding.faults.append(f"Datadog has no {board.title} that anybody could see")
                continue
            try:
                if board.public:
                    _look_at_public(api, board, identity, finding)
                else:
                    _look_at_private(api, board, identity, team, finding)
            except ApiError as error:
                finding.doubts.append(f"it cannot be seen who may see {board.title}: {error}")
        named = ", ".join(board.title for board in boards)
        yield finding.look(f"{team} may see {named} in Datadog")


def _shared(api: Api, identity: str) -> list[Json]:
    """How a dashboard is shared with the public."""
    found = api.ask("GET", f"/api/v2/dashboard/{identity}/shared", missing={"data": []})["data"]
    every = [one["attributes"] for one in found]
    return [one for one in every if (one["share_type"], one.get("status")) == ("open", "active")]


def _look_at_public(api: Api, board: Dashboard, identity: str, finding: Finding) -> None:
    shared = _shared(api, identity)
    if not shared:
        finding.faults.append(
            f"{board.title} is not public: share it in Datadog, under Share > Public"
        )
    for one in shared:
        try:
            status = httpx.get(one["url"], timeout=30, follow_redirects=True).status_code
        except httpx.HTTPError as error:
            finding.faults.append(f"{board.title} is shared, and its page does not answer: {error}")
            continue
        finding.evidence.append(f"{board.title} is shared with everybody, status {status}")
        if status != httpx.codes.OK:
            finding.faults.append(
                f"{board.title} is shared, and its page answers {status}: share it anew in Datadog"
            )


def _look_at_private(
    api: Api, board: Dashboard, identity: str, team: Team, finding: Finding
) -> None:
    if _shared(api, identity):
        finding.faults.append(f"{board.title} is shared with the public: end that in Datadog")
    asked = urlencode({"filter[keyword]": team, "page[size]": 100})
    found = api.ask("GET", f"/api/v2/team?{asked}")["data"]
    ours = [one for one in found if one["attributes"]["handle"] == team]
    if not ours:
        finding.doubts.append(
            f"Datadog has no team {team}: make it there, or confirm that its people can sign in"
        )
    elif not ours[0]["attributes"].get("user_count"):
        finding.faults.append(f"team {team} has nobody in it: add its people in Datadog")
    policy = api.ask("GET", f"/api/v2/restriction_policy/dashboard:{identity}", missing=None)
    bindings = policy["data"]["attributes"]["bindings"] if policy else []
    principals = [one for binding in bindings for one in binding["principals"]]
    finding.evidence.append(f"{board.title}: {', '.join(principals) or 'everybody in the account'}")
    allowed = {f"team:{one['id']}" for one in ours}
    # Without bindings the whole organization may see it, and a binding of the organization says so.
    if (
        principals
        and not allowed & set(principals)
        and not any(one.startswith("org:") for one in principals)
    ):
        finding.faults.append(
            f"team {team} may not see {board.title}: give it the right in Datadog, under Permissions"
        )
