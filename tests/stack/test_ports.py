"""Ports: free ones, and whether something answers on one."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from otel_accubooks.stack.ports import free_port, http_ok, tcp_open


def test_free_ports_are_free_and_different() -> None:
    """Each can be bound, for TCP and for UDP, and none is given twice."""
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as listener:
            listener.bind(("127.0.0.1", ports[0]))


def test_a_port_that_nobody_listens_on_is_closed() -> None:
    """No answer is an answer, and no exception."""
    port = free_port()
    assert not tcp_open(port)
    assert not http_ok(f"http://127.0.0.1:{port}/")


def test_a_port_that_somebody_listens_on_is_open() -> None:
    """It is enough that the connection is taken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert tcp_open(listener.getsockname()[1])


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (404, False), (503, False)])
def test_only_2xx_is_well(status: int, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers with an error is not ready; a proxy of the environment is not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.handle_request).start()
        assert http_ok(f"http://127.0.0.1:{server.server_port}/") is ok


def test_nonsense_is_not_well() -> None:
    """What does not speak HTTP, as a server half up, is not ready."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"what?\r\n")

        Thread(target=answer).start()
        assert not http_ok(f"http://127.0.0.1:{listener.getsockname()[1]}/")
