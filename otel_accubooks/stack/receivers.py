"""Everybody whom alerts tell, on this machine, and the Alertmanager that tells them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from otel_accubooks.contract.alert import Severity
from otel_accubooks.stack.alertmanager import Alertmanager
from otel_accubooks.stack.binaries import find_alertmanager
from otel_accubooks.stack.mailbox import Mailbox
from otel_accubooks.stack.opsgenie_sink import OpsgenieSink
from otel_accubooks.stack.pager_sink import PagerSink
from otel_accubooks.stack.slack_sink import SlackSink
from otel_accubooks.stack.webhook_sink import WebhookSink
from otel_accubooks.vendors.addresses import RUNBOOKS, Addresses, Phone
from otel_accubooks.vendors.alertmanager import PACES, Pace

if TYPE_CHECKING:
    from typing_extensions import Self

ON_CALL, ESCALATION = "on-call@books.example", "cto@books.example"


class Receivers:
    """Phone, mailbox, Slack and dead-man's switch, and who tells them, as `alertmanager`.

    `to` has their addresses, once they run. Everything of Alertmanager is in `folder`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        application: str = "https://books.example",
        runbooks: str = RUNBOOKS,
        phone: Phone = "pagerduty",
        paces: Mapping[Severity, Pace] = PACES,
    ) -> None:
        self._password, self.token = secrets.token_hex(8), secrets.token_hex(8)
        self.mailbox = Mailbox(user="alerts", password=self._password)
        self.slack = SlackSink()
        self.pager = PagerSink()
        self.opsgenie = OpsgenieSink()
        self.webhook = WebhookSink(token=self.token)
        self.heartbeat = WebhookSink()
        self._folder, self._phone, self._paces = folder, phone, paces
        self._application, self._runbooks = application, runbooks
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as running:
            running.enter_context(self.mailbox)
            for sink in (self.slack, self.pager, self.opsgenie, self.webhook, self.heartbeat):
                running.enter_context(sink)
            self.to = self._addresses()
            files = {
                "slack_url": self.slack.webhook("alerts"),
                "slack_info_url": self.slack.webhook("info"),
                "pagerduty_key": secrets.token_hex(16),
                "opsgenie_key": secrets.token_hex(8),
                "webhook_token": self.token,
                "smtp_password": self._password,
            }
            self.alertmanager = running.enter_context(
                Alertmanager(self._folder, find_alertmanager(), self.to, files, paces=self._paces)
            )
            self._running = running.pop_all()
        return self

    def _addresses(self) -> Addresses:
        phones: dict[Phone, str] = {
            "pagerduty": f"{self.pager.url}/v2/enqueue",
            "opsgenie": self.opsgenie.url,
            "webhook": f"{self.webhook.url}/page",
        }
        return Addresses(
            email=(ON_CALL,),
            escalation_email=(ESCALATION,),
            application=self._application,
            runbooks=self._runbooks,
            smtp=self.mailbox.address,
            smtp_user="alerts",
            smtp_tls=False,
            phone=self._phone,
            phone_url=phones[self._phone],
            heartbeat_url=f"{self.heartbeat.url}/beat",
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()
