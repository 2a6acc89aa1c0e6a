"""Expositions of servers, as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.exposition import exposed, parse, total

PAGE = """# TYPE sent_total counter
sent_total{to="a b",kind="{x}"} 2
sent_total{to="c"} 3
"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.headers["Authorization"] not in (None, "Bearer opens"):
            self.send_error(401)
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/metrics")
            self.end_headers()
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE.encode() if self.path == "/metrics" else b"<html>hello</html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_values_are_added_up_by_their_labels(url: str) -> None:
    """Those of the labels that are named, or all of a name; 0 where there is none."""
    page = exposed(f"{url}/metrics", "opens")
    assert total(page, "sent_total") == 5
    assert total(page, "sent_total", to="a b") == 2
    assert total(page, "received_total") == 0


def test_redirects_are_followed(url: str) -> None:
    """As Prometheus does."""
    assert total(exposed(f"{url}/moved"), "sent_total") == 5


@pytest.mark.parametrize(
    ("path", "token", "said"),
    [("/metrics", "wrong-token", "401"), ("/hello", "", "no exposition for Prometheus")],
)
def test_what_is_none_is_said(url: str, path: str, token: str, said: str) -> None:
    """In one line, without the token."""
    with pytest.raises(ApiError, match=said) as caught:
        exposed(url + path, token)
    assert "wrong-token" not in str(caught.value)


def test_an_address_that_is_none_is_said() -> None:
    """No other error comes through."""
    with pytest.raises(ApiError):
        exposed("http://[::1/metrics")


def test_an_empty_page_has_nothing() -> None:
    """And is no error."""
    assert parse("") == {}
