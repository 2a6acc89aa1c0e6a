"""A mail is looked up in the mailbox that it was sent to."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from otel_accubooks.servers.api import ApiError
from otel_accubooks.stack import mailbox as stack
from otel_accubooks.stack.imap_server import ImapServer
from otel_accubooks.stack.ports import free_port
from otel_accubooks.trial.mail import Mailbox
from otel_accubooks.trial.station import Elsewhere, Trial, Unreadable

ME, CHIEF = "on-call@books.example", "cto@books.example"
SECRET = {"MAILBOX_PASSWORD": "battery staple"}
TRIAL = Trial("0a1b2c3d")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[stack.Mailbox, ImapServer]]:
    with stack.Mailbox() as kept, ImapServer(kept, ME, SECRET["MAILBOX_PASSWORD"]) as imap:
        yield kept, imap


@pytest.fixture
def mailbox(server: tuple[stack.Mailbox, ImapServer]) -> Iterator[Mailbox]:
    made = Mailbox(server[1].url, SECRET)
    yield made
    made.close()


def send(server: tuple[stack.Mailbox, ImapServer], subject: str, to: str = ME) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@books.example", to, subject
    with smtplib.SMTP("127.0.0.1", server[0].port, timeout=30) as smtp:
        smtp.send_message(message)


def test_the_mail_of_this_run_is_found(
    server: tuple[stack.Mailbox, ImapServer], mailbox: Mailbox
) -> None:
    """And no other's, nor the one that says that it is over."""
    send(server, "[FIRING] test TestAlert ffffffff of books: nothing is wrong")
    assert mailbox.found(TRIAL, ME) is None
    send(server, f"[FIRING] test TestAlert {TRIAL.number} of books: nothing is wrong")
    assert mailbox.found(TRIAL, ME) == f"read in the mailbox of {ME} on 127.0.0.1"
    assert mailbox.found(TRIAL, ME, over=True) is None
    send(server, f"[RESOLVED] test TestAlert {TRIAL.number} of books: nothing is wrong")
    assert mailbox.found(TRIAL, ME, over=True)


def test_somebody_elses_mail_may_be_elsewhere(
    server: tuple[stack.Mailbox, ImapServer], mailbox: Mailbox
) -> None:
    """Unless it comes to this mailbox too."""
    with pytest.raises(Elsewhere, match=CHIEF):
        mailbox.found(TRIAL, CHIEF)
    send(server, f"[FIRING] test TestAlert {TRIAL.number} of books: nothing is wrong", CHIEF)
    assert mailbox.found(TRIAL, CHIEF)


@pytest.mark.parametrize(
    ("address", "environ", "said"),
    [
        ("", SECRET, "MAILBOX_URL is not set"),
        ("imap://me@127.0.0.1:143", {}, "MAILBOX_PASSWORD is not set"),
    ],
)
def test_what_is_not_set_is_named(address: str, environ: dict[str, str], said: str) -> None:
    """Without address or password nobody can look."""
    with pytest.raises(Unreadable, match=said):
        Mailbox(address, environ).found(TRIAL, ME)


def test_a_password_that_is_refused_is_named(server: tuple[stack.Mailbox, ImapServer]) -> None:
    """By its variable, without what is in it."""
    wrong = Mailbox(server[1].url, {"MAILBOX_PASSWORD": "correct horse"})
    with pytest.raises(Unreadable, match="MAILBOX_PASSWORD") as raised:
        wrong.found(TRIAL, ME)
    assert "correct horse" not in str(raised.value)


def test_a_server_that_is_not_there_is_named() -> None:
    """It may come back, and is asked again."""
    with pytest.raises(ApiError, match="nothing listens there; is MAILBOX_URL right"):
        Mailbox(f"imap://me@127.0.0.1:{free_port()}", SECRET).found(TRIAL, ME)
