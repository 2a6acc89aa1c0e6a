"""Who takes Alertmanager's own webhook: a heartbeat's dead-man's switch, or a pager of one's own.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
As a program: python -m otel_accubooks.stack.webhook_sink --port 8130
In a test:    with WebhookSink() as webhook: ...; webhook.taken()
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from otel_accubooks.stack.notifications import NotAccepted, Notification, NotificationSink, read_as
from otel_accubooks.stack.sink import Reply, Request, serve

Status = Literal["firing", "resolved"]


class Alert(Notification):
    """One alert of a group."""

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: datetime
    endsAt: datetime
    generatorURL: str
    fingerprint: str


class Group(Notification):
    """A group of alerts; `path` and `token` are those of the request."""

    path: str
    token: str
    version: Literal["4"]
    groupKey: str
    truncatedAlerts: int
    status: Status
    receiver: str
    groupLabels: dict[str, str]
    commonLabels: dict[str, str]
    commonAnnotations: dict[str, str]
    externalURL: str
    alerts: tuple[Alert, ...]


class WebhookSink(NotificationSink[Group]):
    """Takes groups under every path; where `token` is given, only with that bearer token."""

    name = "webhook"

    def __init__(self, port: int = 0, token: str = "") -> None:
        super().__init__(port)
        self._token = token

    def answer(self, request: Request) -> Reply:
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and shown != self._token:
            return Reply(401, {"message": "Unauthorized"})
        try:
            self.take(read_as(Group, request, path=request.path, token=shown))
        except NotAccepted as error:
            return Reply(400, {"message": str(error)})
        return Reply(200, {})


if __name__ == "__main__":
    serve(WebhookSink, default_port=8130)
