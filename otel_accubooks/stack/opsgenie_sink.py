"""Opsgenie's Alert API on this machine: creating and closing alerts, and its refusals.

https://docs.opsgenie.com/docs/alert-api
As a program: python -m otel_accubooks.stack.opsgenie_sink --port 8129
In a test:    with OpsgenieSink() as opsgenie: ...; opsgenie.taken()
"""

from __future__ import annotations

import re
import uuid
from typing import Literal

from pydantic import Field

from otel_accubooks.stack.notifications import NotAccepted, Notification, NotificationSink, read_as
from otel_accubooks.stack.sink import Reply, Request, serve

_KEY = re.compile(r"GenieKey [0-9a-zA-Z-]{8,}")
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
    """An account that takes every well-formed key."""

    name = "opsgenie"

    def answer(self, request: Request) -> Reply:
        if not _KEY.fullmatch(request.headers.get("authorization", "")):
            return Reply(401, _told("Could not authenticate"))
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


def _told(message: str | None) -> dict[str, object]:
    told: dict[str, object] = {"took": 0.001, "requestId": str(uuid.uuid4())}
    return told | ({"message": message} if message else {})


if __name__ == "__main__":
    serve(OpsgenieSink, default_port=8129)
