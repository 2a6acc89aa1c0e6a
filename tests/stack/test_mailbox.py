"""The mail server that keeps what it is sent."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

import pytest

from otel_accubooks.stack.mailbox import Mailbox


def letter(to: str = "you@books.example") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "me@books.example", to, "Grüße"
    message.set_content("plain")
    message.add_alternative("<b>bold</b>", subtype="html")
    return message


def send(mailbox: Mailbox, user: str = "", password: str = "") -> None:
    with smtplib.SMTP("127.0.0.1", mailbox.port, timeout=30) as client:
        if user:
            client.login(user, password)
        client.send_message(letter())


def test_a_mail_is_kept_as_it_is_read() -> None:
    """Subject and both bodies, decoded; by the address that the envelope names."""
    with Mailbox() as mailbox:
        send(mailbox)
        (mail,) = mailbox.mails("you@books.example")
        assert (mail.subject, mail.sender) == ("Grüße", "me@books.example")
        assert (mail.text.strip(), mail.html.strip()) == ("plain", "<b>bold</b>")
        assert mailbox.mails("somebody@else.example") == []


def test_a_mailbox_that_is_busy_refuses() -> None:
    """With a status that asks to come again, until it is told otherwise."""
    with Mailbox() as mailbox:
        mailbox.fail()
        with pytest.raises(smtplib.SMTPResponseException, match="451"):
            send(mailbox)
        mailbox.fail("")
        send(mailbox)
        assert len(mailbox.mails()) == 1


def test_who_is_not_known_sends_nothing() -> None:
    """Without the password, and with another."""
    with Mailbox(user="me", password="right") as mailbox:
        with pytest.raises(smtplib.SMTPResponseException, match="530"):
            send(mailbox)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send(mailbox, "me", "wrong")
        send(mailbox, "me", "right")
        assert len(mailbox.mails()) == 1


def test_an_outage_keeps_port_and_mails() -> None:
    """stop refuses connections; start goes on where it was."""
    with Mailbox() as mailbox:
        send(mailbox)
        mailbox.stop()
        with pytest.raises(ConnectionRefusedError):
            send(mailbox)
        mailbox.start()
        send(mailbox)
        assert len(mailbox.mails()) == 2


def test_waiting_in_vain_shows_what_came() -> None:
    """The error of wait_for has the subjects in it."""
    with Mailbox() as mailbox:
        send(mailbox)
        mailbox.wait_for(lambda box: box.mails())
        with pytest.raises(TimeoutError, match="Grüße"):
            mailbox.wait_for(lambda box: len(box.mails()) > 1, timeout=0.1)
