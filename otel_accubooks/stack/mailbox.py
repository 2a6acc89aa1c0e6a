"""A mail server on this machine that delivers to nobody, and shows what came.

In a test: with Mailbox() as mailbox: ...; mailbox.address, mailbox.mails()
"""

from __future__ import annotations

import email
import email.policy
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from otel_accubooks.stack.ports import LOOPBACK, free_port

if TYPE_CHECKING:
    from typing_extensions import Self

START_SECONDS = 30.0
# At each login it warns of an attribute of its own.
logging.getLogger("mail.log").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Mail:
    """One mail as its envelope and itself say."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def subject(self) -> str:
        """Its subject, decoded."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """What it says in plain text; empty where it says nothing so."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """What it says in HTML; empty where it says nothing so."""
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part is not None else ""


class Mailbox:
    """An SMTP server in a thread. With `user` and `password` it takes mail of nobody else.

    stop and start again keep port and mails, so that a stopped one is an outage.
    """

    def __init__(self, *, user: str = "", password: str = "") -> None:
        self.port = free_port()
        self.address = f"{LOOPBACK}:{self.port}"
        self._login = (user.encode(), password.encode())
        self._changed = threading.Condition()
        self._mails: list[Mail] = []
        self._refusal = ""
        self._loses = False
        self._controller: Controller | None = None

    def mails(self, to: str | None = None) -> list[Mail]:
        """What came so far, in its order: everything, or what was for the address `to`."""
        with self._changed:
            return [mail for mail in self._mails if to is None or to in mail.recipients]

    def fail(self, refusal: str = "451 4.3.2 the mailbox is busy") -> None:
        """Refuse mails from now on in these words, an SMTP code first; "" ends it."""
        self._refusal = refusal

    def lose(self, *, mails: bool = True) -> None:
        """Accept mails from now on, and keep none of them; `mails` False ends it."""
        self._loses = mails

    def wait_for(self, predicate: Callable[[Mailbox], object], timeout: float = 30) -> None:
        """Return once `predicate(self)` is true; else raises TimeoutError, with what came."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout):
                came = "\n".join(mail.subject for mail in self._mails) or "nothing"
                raise TimeoutError(f"mailbox: not so after {timeout:g} s; what came:\n{came}")

    def start(self) -> Self:
        """Listen. Raises OSError if the port is taken."""
        controller = Controller(
            self,
            hostname=LOOPBACK,
            port=self.port,
            ready_timeout=START_SECONDS,
            auth_require_tls=False,
            # Its questions are not those that Go's clients know.
            auth_exclude_mechanism=["LOGIN"],
            authenticator=self._authenticate,
        )
        controller.start()
        self._controller = controller
        return self

    def stop(self) -> None:
        """Refuse connections."""
        controller, self._controller = self._controller, None
        if controller is not None:
            controller.stop()

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, *said: Any) -> str:  # noqa: ARG002
        """Called by the server for each mail's first line; returns what it answers."""
        if all(self._login) and not session.authenticated:
            return "530 5.7.0 authentication is required"
        # Not at the end of the mail: Alertmanager 0.25 takes no notice of a refusal there.
        if self._refusal:
            return self._refusal
        envelope.mail_from, options = said
        envelope.mail_options.extend(options)
        return "250 2.1.0 go on"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002
        """Called by the server for each mail; returns what it answers."""
        if self._loses:
            return "250 2.0.0 kept"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        mail = Mail(envelope.mail_from, tuple(envelope.rcpt_tos), message)
        with self._changed:
            self._mails.append(mail)
            self._changed.notify_all()
        return "250 2.0.0 kept"

    def _authenticate(self, *asked: Any) -> AuthResult:
        login = asked[-1]  # after server, session, envelope and mechanism
        known = isinstance(login, LoginPassword) and (login.login, login.password) == self._login
        return AuthResult(success=known, handled=False)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
