"""Slack's incoming webhooks on this machine, their format and their refusals; and reading channels.

https://docs.slack.dev/reference/methods: conversations.list and conversations.history, with a token.

As a program: python -m otel_accubooks.stack.slack_sink --port 8127
In a test:    with SlackSink() as slack: ...; slack.webhook("alerts"), slack.taken()
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from otel_accubooks.stack.http_body import BadBody
from otel_accubooks.stack.notifications import NotAccepted, Notification, NotificationSink, read_as
from otel_accubooks.stack.sink import Reply, Request, serve

_WEBHOOK = re.compile(r"/services/T[A-Z0-9]+/B([A-Z0-9]+)/[A-Za-z0-9]{24}")
_HTTP = r"^https?://\S+$"
_COLOUR = r"^(good|warning|danger|#?[0-9a-fA-F]{6})?$"


class Column(Notification):
    """One of the small columns below an attachment."""

    title: str
    value: str
    short: bool = False


class Attachment(Notification):
    """https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments"""

    title: str = ""
    title_link: str | None = Field(None, pattern=_HTTP)
    pretext: str = ""
    text: str = ""
    fallback: str = ""
    callback_id: str = ""
    color: str = Field("", pattern=_COLOUR)
    fields: tuple[Column, ...] = ()
    footer: str = ""
    mrkdwn_in: tuple[str, ...] = ()


class Message(Notification):
    """A message; `webhook` is the name of the one that it came by, `at` its time in Unix seconds."""

    webhook: str
    at: float
    text: str = ""
    channel: str = ""
    username: str = ""
    icon_emoji: str = ""
    icon_url: str = ""
    link_names: bool = False
    attachments: tuple[Attachment, ...] = ()
    blocks: tuple[dict[str, Any], ...] = Field((), max_length=50)


class SlackSink(NotificationSink[Message]):
    """A workspace with as many webhooks as are asked for. It shows what came, and by which.

    Its channels can be read, below /api, with `token`.
    """

    name = "slack"

    def __init__(self, port: int = 0, token: str = "") -> None:
        super().__init__(port)
        self._token = token
        self._channels: dict[str, str] = {}
        self._revoked: set[str] = set()

    @property
    def api(self) -> str:
        """The address of the Web API."""
        return f"{self.url}/api"

    def webhook(self, name: str, channel: str = "") -> str:
        """The address of the webhook called `name`, letters and digits, of its one channel."""
        self._channels[name.upper()] = channel.removeprefix("#") or name.lower()
        return f"{self.url}/services/T00000000/B{name.upper()}/{'x' * 24}"

    def by(self, webhook: str) -> list[Message]:
        """The messages that came by this webhook."""
        return [message for message in self.taken() if message.webhook == webhook.upper()]

    def revoke(self, name: str, *, gone: bool = True) -> None:
        """Refuse what comes by this webhook, as after its app was removed; `gone` False ends it."""
        (self._revoked.add if gone else self._revoked.discard)(name.upper())

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        return _text(status, reason)

    def answer(self, request: Request) -> Reply:
        if request.path.startswith("/api/"):
            return Reply(200, self._asked(request))
        path = _WEBHOOK.fullmatch(request.path)
        if path is None or path[1] in self._revoked:
            return _text(404, "no_service")
        try:
            message = read_as(Message, request, webhook=path[1], at=time.time())
        except (NotAccepted, BadBody):
            return _text(400, "invalid_payload")
        if not (message.text or message.attachments or message.blocks):
            return _text(400, "no_text")
        if len(message.attachments) > 100:
            return _text(400, "too_many_attachments")
        self.take(message)
        return _text(200, "ok")

    def _asked(self, request: Request) -> dict[str, Any]:
        """The answer of the Web API, whose errors have status 200 too."""
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not shown:
            return {"ok": False, "error": "not_authed"}
        if shown != self._token:
            return {"ok": False, "error": "invalid_auth"}
        names = sorted(set(self._channels.values()))
        if request.path == "/api/conversations.list":
            channels = [{"id": _id(name), "name": name, "is_member": True} for name in names]
            return {"ok": True, "channels": channels, "response_metadata": {"next_cursor": ""}}
        if request.path != "/api/conversations.history":
            return {"ok": False, "error": "unknown_method"}
        if request.query.get("channel", "") not in [_id(name) for name in names]:
            return {"ok": False, "error": "channel_not_found"}
        oldest = float(request.query.get("oldest", "0"))
        limit = int(request.query.get("limit", "100"))
        newest = [
            {
                "type": "message",
                "ts": f"{message.at:.6f}",
                "text": message.text,
                "attachments": [one.model_dump(mode="json") for one in message.attachments],
            }
            for message in reversed(self.taken())
            if _id(self._channels.get(message.webhook, "")) == request.query["channel"]
            and message.at > oldest
        ]
        return {"ok": True, "messages": newest[:limit], "has_more": len(newest) > limit}


def _id(channel: str) -> str:
    return f"C{zlib.crc32(channel.encode()):010d}"


def _text(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), "text/html")


if __name__ == "__main__":
    serve(SlackSink, default_port=8127)
