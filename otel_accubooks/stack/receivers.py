"""Everybody whom alerts tell, on this machine, and the Alertmanager, or the pair, that tells them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from otel_accubooks.contract.alert import Severity
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.alertmanager import PEER_TIMEOUT, Alertmanager, several, write_secrets
from otel_accubooks.stack.binaries import find_alertmanager
from otel_accubooks.stack.imap_server import ImapServer
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
    """Phone, mailbox, Slack and dead-man's switch, and who tells them, as `alertmanagers`.

    There is one of these, or with `pair` two that tell each thing once; `alertmanager` is the first, and
    tells where both live. `to` has the addresses of all, once they run. `heartbeat` is who hears
    that alerting lives, `peer_timeout` what the second leaves to the first, in seconds, `ports` where
    they listen. Everything of the first is in `folder`, of the second in `folder`/second.
    """

    def __init__(
        self,
        folder: Path,
        *,
        application: str = "https://books.example",
        runbooks: str = RUNBOOKS,
        phone: Phone = "pagerduty",
        paces: Mapping[Severity, Pace] = PACES,
        pair: bool = False,
        peer_timeout: float = PEER_TIMEOUT,
        heartbeat: WebhookSink | None = None,
        ports: Sequence[int | None] = (None, None),
    ) -> None:
        self._password, self.token = secrets.token_hex(8), secrets.token_hex(8)
        self.mailbox = Mailbox(user="alerts", password=self._password)
        self._keys = {
            "pagerduty_key": secrets.token_hex(16),
            "opsgenie_key": secrets.token_hex(8),
            "webhook_token": self.token,
            "smtp_password": self._password,
        }
        self._tokens = {
            name: secrets.token_hex(8)
            for name in ("SLACK_TOKEN", "PAGERDUTY_API_TOKEN", "MAILBOX_PASSWORD")
        } | {"OPSGENIE_API_KEY": self._keys["opsgenie_key"]}
        self.imap = ImapServer(self.mailbox, ON_CALL, self._tokens["MAILBOX_PASSWORD"])
        self.slack = SlackSink(token=self._tokens["SLACK_TOKEN"])
        self.pager = PagerSink(
            routing_key=self._keys["pagerduty_key"], token=self._tokens["PAGERDUTY_API_TOKEN"]
        )
        self.opsgenie = OpsgenieSink(key=self._keys["opsgenie_key"])
        self.webhook = WebhookSink(token=self.token)
        self.heartbeat = heartbeat or WebhookSink()
        self._folder, self._phone, self._paces = folder, phone, paces
        self._application, self._runbooks = application, runbooks
        self._pair, self._peer_timeout, self._ports = pair, peer_timeout, ports
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as running:
            running.enter_context(self.mailbox)
            running.enter_context(self.imap)
            for sink in (self.slack, self.pager, self.opsgenie, self.webhook, self.heartbeat):
                running.enter_context(sink)
            self.to = self._addresses()
            webhooks = {
                "slack_url": self.slack.webhook("alerts", self.to.slack_channel),
                "slack_info_url": self.slack.webhook("info", self.to.slack_info_channel),
            }
            write_secrets(Path(self.to.secrets), webhooks | self._keys)
            self.alertmanagers = self._made()
            for alertmanager in self.alertmanagers:
                running.enter_context(alertmanager)
            self._running = running.pop_all()
        return self

    @property
    def shown(self) -> dict[str, str]:
        """Where one sees what they were told, by name."""
        seen = {"Slack": self.slack.url, "Pager": self.pager.url}
        return {name: f"{url}/_accubooks/metrics" for name, url in seen.items()}

    @property
    def alertmanager(self) -> Alertmanager:
        """The only one, or the older of the pair."""
        return self.alertmanagers[0]

    @property
    def servers(self) -> Servers:
        """Where Alertmanager is, and where people's ends of the channels can be read."""
        apis: dict[Phone, str] = {"pagerduty": self.pager.url, "opsgenie": self.opsgenie.url}
        return Servers(
            alertmanager=tuple(one.url for one in self.alertmanagers),
            slack_api=self.slack.api,
            phone_api=apis.get(self._phone, ""),
            mailbox=self.imap.url,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The same as variables, and the tokens with which all that can be read."""
        servers = self.servers
        return self._tokens | {
            "ALERTMANAGER_URL": ",".join(servers.alertmanager),
            "SLACK_API_URL": servers.slack_api,
            "PHONE_API_URL": servers.phone_api,
            "MAILBOX_URL": servers.mailbox,
        }

    def _made(self) -> tuple[Alertmanager, ...]:
        return several(
            self._folder, find_alertmanager(), self.to,
            pair=self._pair, paces=self._paces, peer_timeout=self._peer_timeout,
            ports=self._ports,
        )  # fmt: skip

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
            secrets=str(self._folder / "secrets"),
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()
