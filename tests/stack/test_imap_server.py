"""The mailbox's mails by IMAP, as the standard library's client asks for them."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from otel_accubooks.stack.imap_server import ImapServer
from otel_accubooks.stack.mailbox import Mailbox

USER, PASSWORD = "me@books.example", "battery staple"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as started:
        yield started


@pytest.fixture
def client(mailbox: Mailbox) -> Iterator[imaplib.IMAP4]:
    with ImapServer(mailbox, USER, PASSWORD) as imap:
        made = imaplib.IMAP4("127.0.0.1", imap.port, timeout=30)
        yield made
        made.logout()


def send(mailbox: Mailbox, subject: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@books.example", USER, subject
    message.set_content("text")
    with smtplib.SMTP("127.0.0.1", mailbox.port, timeout=30) as server:
        server.send_message(message)


def test_a_mail_is_found_by_its_subject(mailbox: Mailbox, client: imaplib.IMAP4) -> None:
    """One that came later is there once the client asks for news."""
    send(mailbox, "the first")
    client.login(USER, PASSWORD)
    assert client.select("INBOX", readonly=True) == ("OK", [b"1"])
    send(mailbox, "the second")
    assert client.search(None, "SUBJECT", '"second"') == ("OK", [b""])
    client.noop()
    assert client.search(None, "SUBJECT", '"second"') == ("OK", [b"2"])


def test_headers_are_read(mailbox: Mailbox, client: imaplib.IMAP4) -> None:
    """Those that are asked for, and no others."""
    send(mailbox, "Grüße")
    client.login(USER, PASSWORD)
    client.select("INBOX", readonly=True)
    _, found = client.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT TO)])")
    assert isinstance(found[0], tuple)
    head = found[0][1].decode()
    assert "To: me@books.example\r\n" in head
    assert "Subject: =?utf-8?" in head
    assert "From:" not in head


def test_whoever_is_not_known_reads_nothing(mailbox: Mailbox, client: imaplib.IMAP4) -> None:
    """A wrong password is refused, and so is looking without one."""
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(USER, "correct horse")
    client.state = "AUTH"  # as a client would that does not mind
    with pytest.raises(imaplib.IMAP4.error, match="not known, or not now"):
        client.select("INBOX")
