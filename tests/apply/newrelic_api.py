"""NerdGraph as far as it is spoken to, on this machine: documents and variables are judged by a
GraphQL engine against an excerpt of the schema, values by the limits that New Relic documents.

Objects are kept, and given back with what the real one adds: fields of its own, defaults, pages of a few.
"""

from __future__ import annotations

import copy
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    execute_sync,
    parse,
    validate,
)  # fmt: skip
from newrelic_points import Points
from newrelic_schema import RAW, SCHEMA, condition_refusals, refusals

KEY = "NRAK-TEST"
ACCOUNT = 1234567
PAGE = 5


class Account:
    """What is in it: each kind of object by id, in the order of making."""

    def __init__(self) -> None:
        self._numbers = count(100)
        self.policies: dict[str, dict[str, Any]] = {}
        self.conditions: dict[str, dict[str, Any]] = {}
        self.destinations: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.workflows: dict[str, dict[str, Any]] = {}
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.monitors: dict[str, dict[str, Any]] = {}
        self.slack = {"alerts": "C01", "alerts-info": "C02", "other-alerts": "C03"}
        self.muting: list[dict[str, Any]] = []
        self.points = Points()
        self.mutations: list[str] = []
        self.refuse: dict[str, str] = {}  # of a mutation's name: an error inside its answer

    def add(self, kind: str, **content: Any) -> str:
        """Puts an object of this kind into the account, and returns its id."""
        identity = str(next(self._numbers))
        getattr(self, kind)[identity] = {"id": identity, **content}
        return identity

    def people_have_made(self) -> Account:
        """The destinations that only people can make."""
        self.add("destinations", name="main", type="SLACK", properties=[], active=True)
        kind = "PAGERDUTY_SERVICE_INTEGRATION"
        self.add("destinations", name="accubooks", type=kind, properties=[], active=True)
        return self


class _Root:
    """Resolvers of queries and mutations; a dict resolves its keys by itself."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def actor(self, _info: Any) -> dict[str, Any]:
        return {
            "account": lambda _, id: self._fields() if id == ACCOUNT else None,
            "entity": lambda _, guid: self._entity(guid),
            "entitySearch": lambda _, query: {
                "results": lambda _, cursor=None: _paged(self._search(query), cursor, "entities")
            },
        }

    def _fields(self) -> dict[str, Any]:
        a = self.account
        return {
            "id": ACCOUNT,
            "nrql": lambda _, query, **_k: {"results": a.points.answer(query), "nrql": query},
            "alerts": {
                "mutingRules": a.muting,
                "policiesSearch": lambda _, cursor=None, **_k: _paged(
                    a.policies.values(), cursor, "policies"
                ),
                "nrqlConditionsSearch": lambda _, cursor=None, searchCriteria=None: _paged(
                    [
                        one
                        for one in a.conditions.values()
                        if one["policyId"] == searchCriteria["policyId"]
                    ],
                    cursor,
                    "nrqlConditions",
                ),
            },
            "aiNotifications": {
                "destinations": lambda _, cursor=None: _paged(
                    a.destinations.values(), cursor, "entities"
                ),
                "channels": lambda _, cursor=None: _paged(a.channels.values(), cursor, "entities"),
                "suggestions": lambda _, filter, **_k: {
                    "entities": [
                        {"displayValue": name, "value": identity}
                        for name, identity in a.slack.items()
                        if filter["value"] in name
                    ]
                },
            },
            "aiWorkflows": {
                "workflows": lambda _, cursor=None: _paged(a.workflows.values(), cursor, "entities")
            },
        }

    def _search(self, query: str) -> list[dict[str, Any]]:
        assert query == (
            "type IN ('DASHBOARD', 'MONITOR') AND tags.`managed-by` = 'otel-accubooks'"
        )
        ours = {"key": "managed-by", "values": ["otel-accubooks"]}
        found = []
        for one in self.account.dashboards.values():
            if ours in one["tags"]:
                outline = {"accountId": ACCOUNT, **one, "guid": one["id"], "type": "DASHBOARD"}
                kind = {"__typename": "DashboardEntityOutline"}
                found.append(outline | kind | {"dashboardParentGuid": None})
                found += [
                    outline | kind | {"guid": page["guid"], "dashboardParentGuid": one["id"]}
                    for page in one["pages"]
                ]
        for one in self.account.monitors.values():
            if ours in one["tags"]:
                kind = {"__typename": "SyntheticMonitorEntityOutline", "type": "MONITOR"}
                told = {"monitoredUrl": one["uri"], "period": 1, "accountId": ACCOUNT}
                found.append({**one, **told, **kind, "guid": one["id"]})
        return found

    def _entity(self, guid: str) -> dict[str, Any] | None:
        one = self.account.dashboards.get(guid)
        return one and {"__typename": "DashboardEntity", **one}

    # Alerts

    def alertsPolicyCreate(self, _info: Any, accountId: int, policy: Any) -> Any:
        identity = self.account.add("policies", accountId=accountId, **policy)
        return self.account.policies[identity]

    def alertsPolicyUpdate(self, _info: Any, accountId: int, id: str, policy: Any) -> Any:
        return _updated(self.account.policies, id, policy)

    def alertsPolicyDelete(self, _info: Any, accountId: int, id: str) -> Any:
        for identity, one in list(self.account.conditions.items()):
            if one["policyId"] == id:
                del self.account.conditions[identity]
        return self.account.policies.pop(id)

    def _condition(self, policyId: str, kind: str, condition: dict[str, Any]) -> Any:
        if policyId not in self.account.policies:
            raise GraphQLError("Not Found")
        _limits(condition, kind)
        identity = self.account.add(
            "conditions", **condition, policyId=policyId, type=kind, entityGuid="E"
        )
        made = self.account.conditions[identity]
        made["__typename"] = f"AlertsNrql{kind.capitalize()}Condition"
        return made

    def alertsNrqlConditionStaticCreate(self, _info: Any, policyId: str, condition: Any, **_k: Any):
        return self._condition(policyId, "STATIC", condition)

    def alertsNrqlConditionBaselineCreate(
        self, _info: Any, policyId: str, condition: Any, **_k: Any
    ):
        return self._condition(policyId, "BASELINE", condition)

    def alertsNrqlConditionStaticUpdate(self, _info: Any, id: str, condition: Any, **_k: Any):
        _limits(condition, "STATIC")
        return _updated(self.account.conditions, id, condition)

    def alertsNrqlConditionBaselineUpdate(self, _info: Any, id: str, condition: Any, **_k: Any):
        _limits(condition, "BASELINE")
        return _updated(self.account.conditions, id, condition)

    def alertsConditionDelete(self, _info: Any, accountId: int, id: str) -> Any:
        return self.account.conditions.pop(id)

    # Notifications

    def aiNotificationsCreateDestination(self, _info: Any, accountId: int, destination: Any) -> Any:
        if destination["type"] in ("SLACK", "PAGERDUTY_SERVICE_INTEGRATION"):
            return {"error": _notification_error("only by OAuth or with a key")}
        identity = self.account.add("destinations", **destination, active=True)
        return {"destination": self.account.destinations[identity]}

    def aiNotificationsUpdateDestination(
        self, _info: Any, accountId: int, destinationId: str, destination: Any
    ) -> Any:
        return {"destination": _updated(self.account.destinations, destinationId, destination)}

    def aiNotificationsDeleteDestination(self, _info: Any, accountId: int, destinationId: str):
        if any(one["destinationId"] == destinationId for one in self.account.channels.values()):
            return {"ids": [], "error": _notification_error("a channel uses it")}
        return {"ids": [self.account.destinations.pop(destinationId)["id"]]}

    def aiNotificationsCreateChannel(self, _info: Any, accountId: int, channel: Any) -> Any:
        destination = self.account.destinations.get(channel["destinationId"])
        if destination is None or destination["type"] != channel["type"]:
            return {"error": _notification_error("no such destination")}
        identity = self.account.add("channels", **channel, active=True)
        return {"channel": self.account.channels[identity]}

    def aiNotificationsUpdateChannel(
        self, _info: Any, accountId: int, channelId: str, channel: Any
    ):
        return {"channel": _updated(self.account.channels, channelId, channel)}

    def aiNotificationsDeleteChannel(self, _info: Any, accountId: int, channelId: str) -> Any:
        for one in self.account.workflows.values():
            if channelId in [c["channelId"] for c in one["destinationConfigurations"]]:
                return {"ids": [], "error": _notification_error("a workflow uses it")}
        return {"ids": [self.account.channels.pop(channelId)["id"]]}

    def aiWorkflowsCreateWorkflow(self, _info: Any, accountId: int, createWorkflowData: Any) -> Any:
        used = [
            one["channelId"]
            for workflow in self.account.workflows.values()
            for one in workflow["destinationConfigurations"]
        ]
        for one in createWorkflowData["destinationConfigurations"]:
            if one["channelId"] not in self.account.channels or one["channelId"] in used:
                return {"errors": [{"description": "bad channel", "type": "CHANNEL"}]}
        content = copy.deepcopy(createWorkflowData)
        content["issuesFilter"]["id"] = "filter"
        content["destinationConfigurations"].reverse()
        identity = self.account.add("workflows", **content)
        return {"workflow": self.account.workflows[identity], "errors": []}

    def aiWorkflowsUpdateWorkflow(self, _info: Any, updateWorkflowData: Any, **_k: Any) -> Any:
        changed = copy.deepcopy(updateWorkflowData)
        identity = changed.pop("id")
        filtered = changed.pop("issuesFilter")
        changed["issuesFilter"] = {"id": filtered["id"], **filtered["filterInput"]}
        workflow = _updated(self.account.workflows, identity, changed)
        return {"workflow": workflow, "errors": []}

    def aiWorkflowsDeleteWorkflow(self, _info: Any, id: str, **_k: Any) -> Any:
        del self.account.workflows[id]
        return {"id": id, "errors": []}

    # Entities

    def dashboardCreate(self, _info: Any, accountId: int, dashboard: Any) -> Any:
        if told := _dashboard_errors(dashboard):
            return {"errors": told}
        identity = self.account.add("dashboards", tags=[], **_stored(dashboard))
        return {"entityResult": {"guid": identity}, "errors": []}

    def dashboardUpdate(self, _info: Any, guid: str, dashboard: Any) -> Any:
        if told := _dashboard_errors(dashboard):
            return {"errors": told}
        _updated(self.account.dashboards, guid, _stored(dashboard))
        return {"entityResult": {"guid": guid}, "errors": []}

    def dashboardDelete(self, _info: Any, guid: str) -> Any:
        del self.account.dashboards[guid]
        return {"status": "SUCCESS", "errors": []}

    def taggingAddTagsToEntity(self, _info: Any, guid: str, tags: Any) -> Any:
        if guid not in self.account.dashboards:
            return {"errors": [{"message": "no such entity", "type": "NOT_FOUND"}]}
        self.account.dashboards[guid]["tags"] += tags
        return {"errors": []}

    def syntheticsCreateSimpleMonitor(self, _info: Any, accountId: int, monitor: Any) -> Any:
        identity = self.account.add("monitors", **monitor)
        return {"monitor": {"guid": identity}, "errors": []}

    def syntheticsUpdateSimpleMonitor(self, _info: Any, guid: str, monitor: Any) -> Any:
        _updated(self.account.monitors, guid, monitor)
        return {"monitor": {"guid": guid}, "errors": None}

    def syntheticsDeleteMonitor(self, _info: Any, guid: str) -> Any:
        del self.account.monitors[guid]
        return {"deletedGuid": guid}


def _limits(condition: dict[str, Any], kind: str) -> None:
    if wrong := condition_refusals(condition, kind == "BASELINE"):
        reasons = [{"name": name, "reason": "out of bounds"} for name in wrong]
        raise GraphQLError("Validation Error", extensions={"validationErrors": reasons})


def _dashboard_errors(dashboard: dict[str, Any]) -> list[dict[str, str]]:
    found = []
    for page in dashboard["pages"]:
        for widget in page["widgets"]:
            kind = RAW.get(widget["visualization"]["id"])
            wrong = (
                refusals(kind, widget["rawConfiguration"]) if kind else ["unknown visualization"]
            )
            found += [{"description": one, "type": "INVALID_INPUT"} for one in wrong]
    return found


def _stored(dashboard: dict[str, Any]) -> dict[str, Any]:
    stored = copy.deepcopy(dashboard)
    for number, page in enumerate(stored["pages"]):
        page.setdefault("guid", f"page-{stored['name']}-{number}")
        for position, widget in enumerate(page["widgets"]):
            widget["id"] = f"{number}-{position}"
            widget["rawConfiguration"]["dataFormatters"] = []
    return stored


def _notification_error(text: str) -> dict[str, str]:
    kind = {"__typename": "AiNotificationsResponseError", "type": "INVALID_PARAMETER"}
    return {"description": text, "details": text, **kind}


def _updated(kept: dict[str, Any], identity: str, changed: dict[str, Any]) -> Any:
    if identity not in kept:
        raise GraphQLError("Not Found")
    kept[identity].update(changed)
    return kept[identity]


def _paged(rows: Any, cursor: str | None, name: str) -> dict[str, Any]:
    rows, begin = list(rows), int(cursor or 0)
    more = begin + PAGE < len(rows)
    return {
        name: rows[begin : begin + PAGE],
        "nextCursor": str(begin + PAGE) if more else None,
        "totalCount": len(rows),
    }


@cache
def _valid(text: str) -> DocumentNode:
    """The document; each is judged once."""
    document = parse(text)
    for error in validate(SCHEMA, document):
        raise error
    return document


@contextmanager
def serving(account: Account) -> Iterator[str]:
    """NerdGraph over `account` on this machine; its address."""
    root = _Root(account)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.headers.get("API-Key") != KEY or self.path != "/graphql":
                self._answer(401, {"errors": [{"message": "The API key provided is invalid"}]})
                return
            operation = body["query"].split("(", 1)[0].split()
            if operation[0] == "mutation":
                account.mutations.append(operation[1])
            if operation[1] in account.refuse:
                error = {"message": account.refuse[operation[1]]}
                self._answer(200, {"data": None, "errors": [error]})
                return
            try:
                document = _valid(body["query"])
                done = execute_sync(SCHEMA, document, root, variable_values=body["variables"])
            except GraphQLError as error:
                done = ExecutionResult(None, [error])
            self._answer(200, done.formatted)

        def _answer(self, status: int, content: Any) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()
