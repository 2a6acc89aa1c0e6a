"""Slack's incoming webhooks on this machine: their format, and their refusals.

As a program: python -m otel_accubooks.stack.slack_sink --port 8127
In a test:    with SlackSink() as slack: ...; slack.webhook("alerts"), slack.taken()
"""

from __future__ import annotations

import re
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
    """A message; `webhook` is the name of the one that it came by."""

    webhook: str
    text: str = ""
    channel: str = ""
    username: str = ""
    icon_emoji: str = ""
    icon_url: str = ""
    link_names: bool = False
    attachments: tuple[Attachment, ...] = ()
    blocks: tuple[dict[str, Any], ...] = Field((), max_length=50)


class SlackSink(NotificationSink[Message]):
    """A workspace with as many webhooks as are asked for. It shows what came, and by which."""

    name = "slack"

    def webhook(self, name: str) -> str:
        """The address of the webhook called `name`, letters and digits."""
        return f"{self.url}/services/T00000000/B{name.upper()}/{'x' * 24}"

    def by(self, webhook: str) -> list[Message]:
        """The messages that came by this webhook."""
        return [message for message in self.taken() if message.webhook == webhook.upper()]

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        return _text(status, reason)

    def answer(self, request: Request) -> Reply:
        path = _WEBHOOK.fullmatch(request.path)
        if path is None:
            return _text(404, "no_service")
        try:
            message = read_as(Message, request, webhook=path[1])
        except (NotAccepted, BadBody):
            return _text(400, "invalid_payload")
        if not (message.text or message.attachments or message.blocks):
            return _text(400, "no_text")
        if len(message.attachments) > 100:
            return _text(400, "too_many_attachments")
        self.take(message)
        return _text(200, "ok")


def _text(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), "text/html")


if __name__ == "__main__":
    serve(SlackSink, default_port=8127)
