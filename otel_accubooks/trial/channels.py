"""The channels as stations: who reads them, and what is said of one that cannot be read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from otel_accubooks.contract.alert import Channel
from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial import phone, slack
from otel_accubooks.trial.handed import Handed
from otel_accubooks.trial.mail import Mailbox
from otel_accubooks.trial.station import Elsewhere, Look, Station, Trial, Unreadable
from otel_accubooks.vendors.addresses import Addresses


@dataclass(frozen=True)
class Channels:
    """Everybody of `to`. `handed` counts what was handed over; None where nobody counts it.

    Connections are ended by `closing`.
    """

    servers: Servers
    to: Addresses
    environ: Mapping[str, str]
    trial: Trial
    handed: Handed | None
    closing: ExitStack

    def stations(self) -> list[Station]:
        """One for each place where somebody is told."""
        to = self.to
        mailbox = Mailbox(self.servers.mailbox, self.environ)
        self.closing.callback(mailbox.close)
        return [
            *self._phone(),
            *(self._mail(mailbox, "email", address) for address in to.email),
            *(self._mail(mailbox, "escalation", address) for address in to.escalation_email),
            self._slack("slack", to.slack_channel),
            self._slack("info", to.slack_info_channel),
        ]

    def _slack(self, channel: Channel, name: str) -> Station:
        reader = slack.Channel(self.servers.slack_api, name, self.environ)
        self.closing.callback(reader.close)
        return self._station(
            f"Slack {reader.name}",
            channel,
            "slack",
            f"Is test alert {self.trial.number} ({self._at}) in Slack's {reader.name}?",
            look=lambda: reader.found(self.trial),
            over=lambda: reader.found(self.trial, over=True),
        )

    def _mail(self, mailbox: Mailbox, channel: Channel, address: str) -> Station:
        return self._station(
            f"email to {address}",
            channel,
            "email",
            f"Has {address} a mail about test alert {self.trial.number} ({self._at})?",
            look=lambda: mailbox.found(self.trial, address),
            over=lambda: mailbox.found(self.trial, address, over=True),
        )

    def _phone(self) -> list[Station]:
        trial, to = self.trial, self.to
        question = f"Has the phone rung with test alert {trial.number} ({self._at})?"
        vendor = phone.vendor(self.servers, to, self.environ)
        if vendor is None:
            said = f"{to.phone_url} cannot be asked whose phone rang"
            return [self._station("phone", "phone", "webhook", question, look=_unreadable(said))]
        if not vendor.readable:
            said = f"{vendor.token} is not set, so that {vendor.name} cannot be asked"
            return [self._station("phone", "phone", to.phone, question, look=_unreadable(said))]
        self.closing.callback(vendor.close)
        opened = self._station(
            vendor.name,
            "phone",
            to.phone,
            f"Does {vendor.name} show test alert {trial.number} ({self._at})?",
            look=lambda: vendor.opened(trial),
            over=lambda: vendor.closed(trial),
        )
        # A vendor that has it may still call nobody, and that is no fault of Alertmanager's.
        missing = f"{vendor.name} has nothing that it could call anybody about"
        rings = Station(
            "phone", lambda: _called(vendor, trial), lambda: missing, None, "phone", question
        )
        return [opened, rings]

    @property
    def _at(self) -> str:
        return time.strftime("%H:%M:%S", time.localtime(self.trial.began))

    def _station(
        self,
        name: str,
        channel: Channel,
        integration: str,
        question: str,
        *,
        look: Look,
        over: Look | None = None,
    ) -> Station:
        return Station(
            name,
            lambda: self._handed_over(look, integration),
            lambda: self._missing(name, integration),
            over,
            channel,
            question,
        )

    def _handed_over(self, look: Look, integration: str) -> str | None:
        """What `look` sees; where it cannot see, what Alertmanager says of having told."""
        try:
            return look()
        except Elsewhere:
            if self.handed is not None and self.handed.failed(integration):
                return None
            raise
        except Unreadable as error:
            if self.handed is None:
                raise
            if self.handed.failed(integration) or not self.handed.tried(integration):
                return None
            told = f"Alertmanager handed it over to {integration} without an error"
            raise Unreadable(f"{told}; {error}") from error

    def _missing(self, name: str, integration: str) -> str:
        if self.handed is None:
            return f"nothing arrived; is {name} among those whom the backend tells?"
        if failed := self.handed.failed(integration):
            return (
                f"Alertmanager failed {failed} times to tell {integration}; its log says why, "
                "usually a secret that is wrong or revoked, or an address"
            )
        if tried := self.handed.tried(integration):
            return (
                f"Alertmanager told {integration} {tried} times without an error, and nothing "
                f"arrived: does the address or key belong to {name}?"
            )
        return (
            f"Alertmanager told nobody by {integration}; is a receiver for it in alertmanager.yml?"
        )


def _unreadable(said: str) -> Look:
    def look() -> str | None:
        raise Unreadable(said)

    return look


def _called(vendor: phone.Vendor, trial: Trial) -> str | None:
    if said := vendor.called(trial):
        return said
    if vendor.opened(trial):
        raise Elsewhere(f"{vendor.name} has it, and no record of having called anybody")
    return None
