"""PagerDuty's Events API v2 on this machine: its format, its incidents, its refusals.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
As a program: python -m otel_accubooks.stack.pager_sink --port 8128
In a test:    with PagerSink() as pager: ...; pager.taken(), pager.incidents()
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from otel_accubooks.stack.http_body import Limits
from otel_accubooks.stack.notifications import NotAccepted, Notification, NotificationSink, read_as
from otel_accubooks.stack.sink import Reply, Request, serve

_HTTP = r"^https?://\S+$"
State = Literal["triggered", "acknowledged", "resolved"]
_STATES: dict[str, State] = {
    "trigger": "triggered",
    "acknowledge": "acknowledged",
    "resolve": "resolved",
}


class Payload(Notification):
    """What an event is about."""

    summary: str = Field(min_length=1, max_length=1024)
    source: str = Field(min_length=1)
    severity: Literal["critical", "error", "warning", "info"]
    timestamp: datetime | None = None
    component: str | None = None
    group: str | None = None
    # A word of Python.
    class_: str | None = Field(None, alias="class")
    custom_details: dict[str, Any] = Field(default_factory=dict)


class Link(Notification):
    """A link of an incident."""

    href: str = Field(pattern=_HTTP)
    text: str = ""


class Image(Notification):
    """An image of an incident."""

    src: str = Field(pattern=r"^https://\S+$")
    href: str | None = None
    alt: str | None = None


class Event(Notification):
    """One event."""

    routing_key: str = Field(pattern=r"^[0-9a-zA-Z]{32}$")
    event_action: Literal["trigger", "acknowledge", "resolve"]
    dedup_key: str | None = Field(None, min_length=1, max_length=255)
    payload: Payload | None = None
    client: str | None = None
    client_url: str | None = Field(None, pattern=_HTTP)
    links: tuple[Link, ...] = ()
    images: tuple[Image, ...] = ()

    @model_validator(mode="after")
    def _has_what_its_action_needs(self) -> Event:
        if self.event_action == "trigger" and self.payload is None:
            raise ValueError("'payload' is missing or blank")
        if self.event_action != "trigger" and self.dedup_key is None:
            raise ValueError("'dedup_key' is missing or blank")
        return self


class PagerSink(NotificationSink[Event]):
    """A service that takes every well-formed routing key."""

    name = "pager"
    limits = Limits(512 * 1024, 512 * 1024)

    def incidents(self) -> dict[str, State]:
        """How each incident stands, by its dedup_key; what is over opens anew with a trigger."""
        states: dict[str, State] = {}
        for event in self.taken():
            # Only a trigger opens an incident; what is about none is accepted, and does nothing.
            if event.dedup_key and (
                event.event_action == "trigger"
                or states.get(event.dedup_key, "resolved") != "resolved"
            ):
                states[event.dedup_key] = _STATES[event.event_action]
        return states

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        return Reply(status, {"status": "error", "message": reason, "errors": [reason]})

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) != ("POST", "/v2/enqueue"):
            return Reply(404, {"status": "not found", "message": request.path, "errors": []})
        try:
            event = read_as(Event, request)
        except NotAccepted as error:
            return Reply(
                400,
                {
                    "status": "invalid event",
                    "message": "Event object is invalid",
                    "errors": error.problems,
                },
            )
        if event.dedup_key is None:
            event = event.model_copy(update={"dedup_key": uuid.uuid4().hex})
        self.take(event)
        return Reply(
            202,
            {"status": "success", "message": "Event processed", "dedup_key": event.dedup_key},
        )


if __name__ == "__main__":
    serve(PagerSink, default_port=8128)
