"""Steps of Flask, of its log, and of the calls that count business events."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import flask
import sqlalchemy.exc

from tests.reliability.fault_step import STEPS, LedgerError, raised, step

app = flask.Flask("books")
app.secret_key = "sealed"
LOG = logging.getLogger("books.ledger")
LOG.propagate = False
LOG.addHandler(logging.NullHandler())


class User:
    """A user as an object-relational mapper leaves it, with attributes that may not be had."""

    @property
    def id(self) -> str:
        raise sqlalchemy.exc.InvalidRequestError("detached")


@app.route("/ok/<int:number>", methods=["GET", "POST"])
def answer(number: int) -> Any:
    flask.session["user"] = f"u{number}"
    flask.g.user = User()
    return {"number": number, "tier": "PRO"}, 201


@app.route("/stream")
def stream() -> Any:
    return flask.Response((f"{n}\n" for n in range(3)), mimetype="text/plain")


@app.route("/breaks")
def breaks() -> Any:
    def parts() -> Iterator[str]:
        yield "a"
        raise LedgerError("in the middle")

    return flask.Response(parts())


@app.route("/broken")
def broken() -> Any:
    raise LedgerError("wrong")


@app.route("/file")
def file() -> Any:
    return flask.send_file(io.BytesIO(b"books"), mimetype="text/plain")


@app.route("/logout", methods=["POST"])
def logout() -> Any:
    flask.session.clear()
    return "", 204


class File:
    """A server's own type for files, as PEP 3333 has it."""

    def __init__(self, file: Any, size: int = 8192) -> None:
        self.file, self.size = file, size

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(self.size), b"")

    def close(self) -> None:
        self.file.close()


def call(path: str, method: str = "GET", served: Any = app, **environ: Any) -> list[Any]:
    """A request as a server makes it: status, body, and how it ended."""
    seen: list[Any] = []
    asked = {
        **{
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SERVER_NAME": "books",
            "SERVER_PORT": "80",
        },
        **{"wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http"},
        **environ,
    }
    body = None
    try:
        body = served(asked, lambda status, headers, *_: seen.append([status, len(headers)]))
        seen.append(hasattr(body, "__len__"))
        seen.extend(bytes(part).decode() for part in body)
    except Exception as error:
        seen.append(raised(error))
    finally:
        if hasattr(body, "close"):
            body.close()
    return seen


def request(path: str, *args: str, **environ: Any) -> None:
    name = f"request_{path.strip('/').partition('/')[0] or 'root'}"
    STEPS[name] = lambda: [call(path, *args, **environ) for _ in range(2)]


request("/ok/1", "POST", HTTP_X_USER="u7")
request("/stream")
request("/breaks")
request("/file", **{"wsgi.file_wrapper": File})
request("/nowhere")
request("/logout", "POST", HTTP_COOKIE="")


@step
def request_with_an_error() -> Any:
    app.testing = True  # its exceptions reach the server
    try:
        return [call("/broken") for _ in range(2)]
    finally:
        app.testing = False


@step
def request_with_an_error_answered() -> Any:
    return call("/broken")


@step
def request_with_odd_answers() -> Any:
    """Answers that PEP 3333 does not know: the server is to judge them."""
    odd = flask.Flask("odd")
    odd.wsgi_app = lambda environ, start: (start(b"200 OK", ()), [b"a", "b"])[1]
    first = call("/", served=odd)
    odd.wsgi_app = lambda environ, start: (start(200, None), None)[1]
    return first, call("/", served=odd)


@step
def log_records() -> Any:
    LOG.error("a ledger is %s", "wrong")
    LOG.info("all is well")
    return True


@step
def business_calls() -> Any:
    from otel_accubooks import business

    business.count("scenarios_created_total", tier="PRO")
    business.count("trust_layer_usage_total", component="assumptions_panel")
    business.user_seen(7)
    business.user_seen(User())
    business.session_ended(7)
    with app.test_request_context("/"):
        business.user_seen(8)
    return True
