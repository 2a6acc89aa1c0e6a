"""PagerDuty on this machine: its Events API v2 with its refusals, and reading incidents by REST.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
https://developer.pagerduty.com/api-reference: /incidents and their /log_entries, with a token.
As a program: python -m otel_accubooks.stack.pager_sink --port 8128
In a test:    with PagerSink() as pager: ...; pager.taken(), pager.incidents()
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from pydantic import Field, model_validator

from otel_accubooks.stack.http_body import Limits
from otel_accubooks.stack.notifications import NotAccepted, Notification, NotificationSink, read_as
from otel_accubooks.stack.sink import Reply, Request, serve

_HTTP = r"^https?://\S+$"
State = Literal["triggered", "acknowledged", "resolved"]
_LOG = re.compile(r"/incidents/(\w+)/log_entries")
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


@dataclass
class _Incident:
    """An incident and its log: kind of entry and time (Unix seconds) of each."""

    number: int
    key: str
    title: str
    log: list[tuple[str, float]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"Q{self.number:013d}"

    @property
    def state(self) -> State:
        return next(_STATES[kind] for kind, _ in reversed(self.log) if kind in _STATES)


class PagerSink(NotificationSink[Event]):
    """A service with one routing key; without `routing_key` it takes every well-formed one.

    Whoever is `on_call` is called about each new incident; None: nobody. With `token` it can be read.
    """

    name = "pager"
    limits = Limits(512 * 1024, 512 * 1024)

    def __init__(self, port: int = 0, *, routing_key: str = "", token: str = "") -> None:
        super().__init__(port)
        self._routing_key, self._token = routing_key, token
        self.on_call: str | None = "The on-call engineer"
        self._came: list[float] = []
        self._calls: list[str | None] = []

    def take(self, notification: Event) -> None:
        with self.lock:
            super().take(notification)
            self._came.append(time.time())
            self._calls.append(self.on_call)

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
        if request.method == "GET":
            return self._read(request)
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
        if self._routing_key and event.routing_key != self._routing_key:
            wrong = {"status": "invalid event", "message": "Event object is invalid"}
            return Reply(400, wrong | {"errors": ["Invalid routing key"]})
        if event.dedup_key is None:
            event = event.model_copy(update={"dedup_key": uuid.uuid4().hex})
        self.take(event)
        return Reply(
            202,
            {"status": "success", "message": "Event processed", "dedup_key": event.dedup_key},
        )

    def _read(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Token token={self._token}" or not self._token:
            return Reply(401, {"error": {"message": "Unauthorized", "code": 2006}})
        log = _LOG.fullmatch(request.path)
        with self.lock:
            incidents = self._opened()
            if request.path == "/incidents":
                since = datetime.fromisoformat(request.query["since"].replace("Z", "+00:00"))
                new = [one for one in incidents if one.log[0][1] >= since.timestamp()]
                shown = [_incident(one) for one in reversed(new)]
                return Reply(200, {"incidents": shown, "limit": 100, "offset": 0, "more": False})
            found = next((one for one in incidents if log and one.id == log[1]), None)
        if found is None:
            return Reply(404, {"error": {"message": "Not Found", "code": 2100}})
        entries = [_log_entry(kind, at) for kind, at in reversed(found.log)]
        return Reply(200, {"log_entries": entries, "limit": 100, "offset": 0, "more": False})

    def _opened(self) -> list[_Incident]:
        """Every incident that there was, in the order of their coming."""
        incidents: list[_Incident] = []
        current: dict[str, _Incident] = {}
        for event, at, called in zip(self._taken, self._came, self._calls, strict=True):
            key = event.dedup_key or ""
            incident = current.get(key)
            if incident is None or incident.state == "resolved":
                if event.payload is None or event.event_action != "trigger":
                    continue
                incident = _Incident(len(incidents) + 1, key, event.payload.summary)
                current[key] = incident
                incidents.append(incident)
                incident.log.append((event.event_action, at))
                if called:
                    incident.log.append((f"notify {called}", at))
            else:
                incident.log.append((event.event_action, at))
        return incidents


def _incident(incident: _Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "type": "incident",
        "incident_number": incident.number,
        "incident_key": incident.key,
        "title": incident.title,
        "status": incident.state,
        "created_at": _iso(incident.log[0][1]),
    }


def _log_entry(kind: str, at: float) -> dict[str, Any]:
    name, _, user = kind.partition(" ")
    entry: dict[str, Any] = {"type": f"{name}_log_entry", "created_at": _iso(at)}
    if user:
        call = {"type": "phone", "address": "+1 555 0100", "status": "success"}
        entry |= {"user": {"type": "user_reference", "summary": user}}
        entry |= {"channel": {"type": "auto", "notification": call}}
    return entry


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    serve(PagerSink, default_port=8128)
