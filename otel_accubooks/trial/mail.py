"""Whether a mail arrived: looked up in the mailbox itself, by IMAP, which leaves it unread."""

from __future__ import annotations

import email
import email.policy
import imaplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from email.utils import getaddresses
from urllib.parse import unquote, urlsplit

from otel_accubooks.servers.api import ApiError
from otel_accubooks.trial.station import Elsewhere, Trial, Unreadable

PASSWORD = "MAILBOX_PASSWORD"  # noqa: S105
TIMEOUT_SECONDS = 20.0
_HEADERS = "(BODY.PEEK[HEADER.FIELDS (SUBJECT TO)])"


class Mailbox:
    """The inbox at `address`, imap(s)://user@host:port; "" where there is none to read."""

    def __init__(self, address: str, environ: Mapping[str, str]) -> None:
        self._address = address
        self._url = urlsplit(address)
        self._password = environ.get(PASSWORD, "")
        self._server: imaplib.IMAP4 | None = None

    @property
    def user(self) -> str:
        """Who logs in."""
        return unquote(self._url.username or "")

    def owns(self, mail_address: str) -> bool:
        """Whether this is the mailbox of that address, as far as its user's name says so."""
        user = self.user.lower()
        return user in (mail_address.lower(), mail_address.lower().partition("@")[0])

    def found(self, trial: Trial, mail_address: str, *, over: bool = False) -> str | None:
        """How the mail of `trial` to that address was seen; with `over`, the one that says so.

        Raises Unreadable, Elsewhere, or ApiError.
        """
        count = sum(
            trial.told(subject, over=over) and mail_address.lower() in recipients
            for subject, recipients in self._mails(trial.number)
        )
        if not count:
            if not self.owns(mail_address):
                raise Elsewhere(
                    f"no mail to {mail_address} is in {self._told}, which may not be its mailbox"
                )
            return None
        return f"read in {self._told}{f', {count} times' if count > 1 else ''}"

    @property
    def _told(self) -> str:
        return f"the mailbox of {self.user} on {self._url.hostname}"

    def _mails(self, number: str) -> list[tuple[str, list[str]]]:
        """Subject and recipients of each mail whose subject has this number."""
        if not self._address:
            raise Unreadable("MAILBOX_URL is not set, so that no mailbox can be read")
        if not self._password:
            raise Unreadable(f"{PASSWORD} is not set, so that {self._told} cannot be read")
        try:
            server = self._logged_in()
            server.noop()  # tells the server to look for new mail
            _, found = server.search(None, "SUBJECT", f'"{number}"')
            numbers = (found[0] or b"").split()
            return [self._read(server, one.decode()) for one in numbers]
        except (imaplib.IMAP4.error, OSError) as error:
            self.close()
            raise ApiError(f"{self._told}: {_reason(error)}") from error

    def _logged_in(self) -> imaplib.IMAP4:
        if self._server is None:
            host, secure = self._url.hostname or "", self._url.scheme == "imaps"
            port = self._url.port or (993 if secure else 143)
            if secure:
                context = ssl.create_default_context()
                server: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                    host, port, ssl_context=context, timeout=TIMEOUT_SECONDS
                )
            else:
                server = imaplib.IMAP4(host, port, timeout=TIMEOUT_SECONDS)
            try:
                server.login(self.user, self._password)
            except imaplib.IMAP4.error as error:
                server.shutdown()
                raise Unreadable(
                    f"{self._told} refuses the log-in: are MAILBOX_URL's user and {PASSWORD} right?"
                ) from error
            server.select("INBOX", readonly=True)
            self._server = server
        return self._server

    @staticmethod
    def _read(server: imaplib.IMAP4, number: str) -> tuple[str, list[str]]:
        _, parts = server.fetch(number, _HEADERS)
        raw = next((part[1] for part in parts if isinstance(part, tuple)), b"")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        recipients = [address.lower() for _, address in getaddresses(message.get_all("To", []))]
        return str(message["Subject"]), recipients

    def close(self) -> None:
        """Logs out."""
        server, self._server = self._server, None
        if server is not None:
            with suppress(imaplib.IMAP4.error, OSError):
                server.logout()


def _reason(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no such host; is MAILBOX_URL right?"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; is MAILBOX_URL right?"
    return f"{' '.join(str(error).split()) or type(error).__name__}; is MAILBOX_URL right?"
