"""What answers where a receiver is expected."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from otel_accubooks.export import answer
from otel_accubooks.export.answer import EndlessAnswer, NoReceiver, answering_session
from otel_accubooks.stack.ports import free_port


@contextmanager
def answers(said: bytes, again: bytes = b"", asked: list[bytes] | None = None) -> Iterator[str]:
    """A server that answers its one request with `said`, and `again` for ever; yields its address.

    What it was sent is put into `asked`.
    """
    ended = threading.Event()
    heard: list[bytes] = [] if asked is None else asked

    def serve(listener: socket.socket) -> None:
        try:
            with listener.accept()[0] as connection:
                heard.append(connection.recv(4096))
                connection.sendall(said)
                while again and not ended.is_set():
                    connection.sendall(again)
                    ended.wait(0.01)
        except OSError:
            pass  # whoever asked has hung up

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def post(url: str, timeout: float = 30.0) -> requests.Response:
    with answering_session() as session:
        session.trust_env = False
        return session.post(url, b"x", timeout=timeout, allow_redirects=False)


OK = b"HTTP/1.1 200 OK\r\n"


def test_a_receivers_answer_is_passed_on() -> None:
    """With its status and its body."""
    with answers(OK + b"Content-Length: 4\r\n\r\n\x0a\x02\x08\x03") as url:
        response = post(url)
    assert response.ok
    assert response.content == b"\x0a\x02\x08\x03"


def test_answers_are_asked_for_as_they_are() -> None:
    """A page that was compressed could not be told from what a receiver says."""
    asked: list[bytes] = []
    with answers(OK + b"Content-Length: 0\r\n\r\n", asked=asked) as url:
        assert post(url).ok
    assert b"accept-encoding: identity\r\n" in asked[0].lower()


def test_html_without_a_page_is_an_answer() -> None:
    """Small receivers say nothing, under the type that their framework has by default."""
    with answers(
        OK + b"Content-Type: text/html; charset=utf-8\r\nContent-Length: 0\r\n\r\n"
    ) as url:
        assert post(url).ok


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://u:canary@login.example/?t=canary\r\n"
            b"Content-Length: 0\r\n\r\n",
            "answered 302, a redirection to https://login.example: set OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            OK + b"Content-Type: text/html\r\nContent-Length: 8\r\n\r\n\n<html/>",
            "answered with a web page, expected an OTLP receiver: set OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
    ],
)
def test_what_is_no_receiver_has_taken_nothing(
    said: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A success of something else would be a loss that nobody notices."""
    with answers(said) as url, pytest.raises(NoReceiver):
        post(url)
    assert words in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("more", "piece"), [(b"", b"\0" * 65536), (b"Content-Length: 1000000000\r\n", b"\0" * 4096)]
)
def test_a_flood_is_not_kept(more: bytes, piece: bytes) -> None:
    """Whatever length it says, no more is read than a receiver may have to say."""
    with answers(OK + more + b"\r\n", piece) as url, pytest.raises(EndlessAnswer):
        post(url)


def test_a_trickle_is_given_up() -> None:
    """Each piece comes in time; all of it never would."""
    trickle = OK + b"Content-Length: 1000000000\r\n\r\n"
    with answers(trickle, b"\0") as url, pytest.raises(EndlessAnswer):
        post(url, 0.5)


def garbage() -> None:
    with answers(bytes(range(256))) as url:
        post(url)


def unanswered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        post(f"http://127.0.0.1:{listener.getsockname()[1]}", 0.2)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (garbage, "its answer is no HTTP (BadStatusLine), expected an OTLP receiver: set OTEL_"),
        (unanswered, "no answer within 0.2 s"),
        (lambda: post(f"http://127.0.0.1:{free_port()}"), "nothing listens there (connection ref"),
        (lambda: post("http://collector.invalid"), "that name cannot be resolved ("),
        (lambda: post("https://127.0.0.1:1"), "nothing listens there"),
    ],
)
def test_a_failure_is_put_into_words(
    ask: Callable[[], object], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was found, what was expected, and what to do."""
    with pytest.raises((requests.ConnectionError, requests.Timeout)):
        ask()
    (said,) = (r.getMessage() for r in caplog.records if r.name == answer.__name__)
    assert words in said


def test_a_refusal_is_put_into_words(caplog: pytest.LogCaptureFixture) -> None:
    """The status with its name, and what to do about it."""
    with answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n") as url:
        assert post(url).status_code == 401
    (said,) = (r for r in caplog.records if r.levelno == logging.WARNING)
    assert said.getMessage().startswith("it answered 401 Unauthorized: set OTEL_EXPORTER_OTLP_HEAD")
