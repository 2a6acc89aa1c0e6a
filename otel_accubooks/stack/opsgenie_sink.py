"""Opsgenie's Alert API on this machine: creating, closing and listing alerts, and its refusals.

https://docs.opsgenie.com/docs/alert-api
As a program: python -m otel_accubooks.stack.opsgenie_sink --port 8129
In a test:    with OpsgenieSink() as opsgenie: ...; opsgenie.taken()
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any, Literal

from pydantic import Field

from otel_accubooks.stack.notifications import NotAccepted, Notification, NotificationSink, read_as
from otel_accubooks.stack.sink import Reply, Request, serve

_KEY = re.compile(r"GenieKey [0-9a-zA-Z-]{8,}")
_SINCE = re.compile(r"createdAt > (\d+)")
_CLOSE = re.compile(r"/v2/alerts/([^/]+)/close")


class Responder(Notification):
    """Who is called."""

    type: Literal["team", "user", "escalation", "schedule"]
    id: str | None = None
    name: str | None = None
    username: str | None = None


class Alert(Notification):
    """An alert that is created, or closed; `alias` tells which."""

    action: Literal["create", "close"]
    alias: str = Field("", max_length=512)
    message: str = Field("", max_length=130)
    description: str = Field("", max_length=15000)
    responders: tuple[Responder, ...] = Field((), max_length=50)
    actions: tuple[str, ...] = Field((), max_length=10)
    tags: tuple[str, ...] = Field((), max_length=20)
    details: dict[str, str] = Field(default_factory=dict)
    entity: str = Field("", max_length=512)
    source: str = Field("", max_length=100)
    priority: Literal["P1", "P2", "P3", "P4", "P5"] = "P3"
    user: str = Field("", max_length=100)
    note: str = Field("", max_length=25000)


class OpsgenieSink(NotificationSink[Alert]):
    """An account with one key; without `key` it takes every well-formed one."""

    name = "opsgenie"

    def __init__(self, port: int = 0, *, key: str = "") -> None:
        super().__init__(port)
        self._key = key
        self._came: list[float] = []

    def take(self, notification: Alert) -> None:
        with self.lock:
            super().take(notification)
            self._came.append(time.time())

    def answer(self, request: Request) -> Reply:
        shown = request.headers.get("authorization", "")
        if not _KEY.fullmatch(shown) or shown.removeprefix("GenieKey ") != (
            self._key or shown.removeprefix("GenieKey ")
        ):
            return Reply(401, _told("Could not authenticate"))
        if (request.method, request.path) == ("GET", "/v2/alerts"):
            return self._listed(request)
        close = _CLOSE.fullmatch(request.path)
        try:
            if (request.method, request.path) == ("POST", "/v2/alerts"):
                alert = read_as(Alert, request, action="create")
                if not alert.message:
                    raise NotAccepted(["message can not be empty"])
            elif (
                request.method == "POST"
                and close
                and request.query.get("identifierType") == "alias"
            ):
                alert = read_as(Alert, request, action="close", alias=close[1])
            else:
                return Reply(404, _told("Not found"))
        except NotAccepted as error:
            return Reply(422, _told("Request body is not processable") | {"errors": error.problems})
        self.take(alert)
        return Reply(202, _told(None) | {"result": "Request will be processed"})

    def _listed(self, request: Request) -> Reply:
        since = _SINCE.fullmatch(request.query.get("query", ""))
        if since is None:
            return Reply(422, _told("Query parsing error, expected createdAt > milliseconds"))
        alerts: dict[str, dict[str, Any]] = {}
        with self.lock:
            for alert, at in zip(self._taken, self._came, strict=True):
                if alert.action == "create":
                    alerts.setdefault(
                        alert.alias,
                        {
                            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, alert.alias)),
                            "tinyId": str(len(alerts) + 1),
                            "alias": alert.alias,
                            "message": alert.message,
                            "status": "open",
                            "createdAt": int(at * 1000),
                        },
                    )
                elif alert.alias in alerts:
                    alerts[alert.alias]["status"] = "closed"
        newest = [one for one in reversed(alerts.values()) if one["createdAt"] > int(since[1])]
        return Reply(200, _told(None) | {"data": newest})


def _told(message: str | None) -> dict[str, object]:
    told: dict[str, object] = {"took": 0.001, "requestId": str(uuid.uuid4())}
    return told | ({"message": message} if message else {})


if __name__ == "__main__":
    serve(OpsgenieSink, default_port=8129)
