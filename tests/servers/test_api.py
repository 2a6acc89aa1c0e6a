"""A vendor's API over real HTTP: what is tried again, and what is said of a refusal."""

import http.server
import json
import socket
import threading

import pytest

from otel_accubooks.servers.api import ATTEMPTS, Api, ApiError
from otel_accubooks.stack.ports import free_port


@pytest.fixture
def server():
    """Answers with what stands in `answers`, one after the other, the last one for ever."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            running.asked.append((self.path, self.headers, self.rfile.read(length)))
            answers = running.answers
            status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.answers = [], []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def api(server):
    api = Api(f"http://127.0.0.1:{server.server_port}/", {"API-Key": "secret"})
    yield api
    api.close()


def test_json_goes_and_comes(server, api):
    """With the key in its header."""
    server.answers = [(200, {}, b'{"id": 1}')]
    assert api.ask("POST", "/things", {"name": "a"}) == {"id": 1}
    ((path, headers, body),) = server.asked
    assert (path, headers["API-Key"], json.loads(body)) == ("/things", "secret", {"name": "a"})


def test_an_empty_answer_is_none(server, api):
    """As after a deletion."""
    server.answers = [(204, {}, b"")]
    assert api.ask("GET", "/") is None


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_temporary_is_tried_again(status, server, api):
    """As soon as the vendor says that it may be."""
    server.answers = [(status, {"Retry-After": "0"}, b""), (200, {}, b"[]")]
    assert api.ask("GET", "/") == []
    assert len(server.asked) == 2


def test_what_stays_away_ends_in_one_line(server, api):
    """After a number of attempts."""
    server.answers = [(503, {"Retry-After": "0"}, b"closed")]
    with pytest.raises(ApiError, match="503 closed"):
        api.ask("GET", "/things")
    assert len(server.asked) == ATTEMPTS


def test_a_missing_thing_is_no_error_where_one_asks_for_it(server, api):
    """Else it is."""
    server.answers = [(404, {}, b"none")]
    assert api.ask("GET", "/things/1", missing=None) is None
    with pytest.raises(ApiError, match=r"GET .*/things/1: 404 none"):
        api.ask("GET", "/things/1")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_to_be_one_and_is_not_shown(status, server, api):
    """With what the vendor said, on one line."""
    server.answers = [(status, {}, b'{"errors":\n ["Forbidden"]}')]
    with pytest.raises(ApiError, match="lacks the right") as error:
        api.ask("GET", "/")
    assert '{"errors": ["Forbidden"]}' in str(error.value)
    assert "secret" not in str(error.value)
    assert len(server.asked) == 1


def test_an_answer_that_is_no_json_is_shown(server, api):
    """As from a proxy that wants to be logged in to."""
    server.answers = [(200, {}, b"<html>Log in</html>")]
    with pytest.raises(ApiError, match="200 <html>Log in</html>; expected JSON"):
        api.ask("GET", "/")


def test_an_address_at_which_nobody_answers_is_named(monkeypatch):
    """It is the first thing to be wrong, and is not tried again: nobody will listen in a moment."""
    waits = []
    monkeypatch.setattr(Api._sent.retry, "sleep", waits.append)
    address = f"http://127.0.0.1:{free_port()}"
    api = Api(address, {})
    with pytest.raises(ApiError, match=f"GET {address}/: .*is the address right"):
        api.ask("GET", "/")
    api.close()
    assert waits == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_is_on_this_machine_is_asked_without_a_proxy(variable, host, server, monkeypatch):
    """A proxy of the environment is there for others, and has another localhost."""
    monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.answers = [(200, {}, b"[]")]
    api = Api(f"http://{host}:{server.server_port}", {})
    assert api.ask("GET", "/") == []
    api.close()


def test_who_does_not_answer_in_time_is_not_asked_again(monkeypatch):
    """A server that hangs has had its time."""
    waits = []
    monkeypatch.setattr(Api._sent.retry, "sleep", waits.append)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = Api(f"http://127.0.0.1:{silent.getsockname()[1]}", {})
        api._client.timeout = 0.2
        with pytest.raises(ApiError, match="timed out"):
            api.ask("GET", "/")
        api.close()
    assert waits == []
