"""An HTTP server in a thread that stands in for a paid service, counts, and fails on command.

Under every subclass there are, besides what the real service answers:
    GET  /_accubooks/metrics    what it has taken, as JSON
    GET  /_accubooks/requests   requests by method, path and status, as JSON
    POST /_accubooks/fail       {"mode": "ok|503|429|hang|reset", "for_requests": n or null}
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import socket
import struct
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Literal, TypeVar, cast, get_args

from otel_accubooks.stack.http_body import BadBody, Limits, read_body

Mode = Literal["ok", "503", "429", "hang", "reset"]
CONTROL = "/_accubooks/"
RST_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, zero seconds

logger = logging.getLogger(__name__)
_S = TypeVar("_S", bound="Sink")


@dataclass(frozen=True)
class Request:
    """One request: path without query, header names in lower case, body decompressed."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What is answered: a status and a body (bytes as they are, anything else as JSON)."""

    status: int
    content: Any
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content
        return json.dumps(self.content).encode()


class Sink:
    """The base of a local stand-in: a subclass says what it answers, takes and shows.

    `port` 0 takes a free one at the first start; stop and start again keep the port and all state,
    so that a stopped sink is an outage. `lock` guards the state of the subclass as well.
    """

    name = "sink"
    limits: Limits
    limits_of_path: ClassVar[Mapping[str, Limits]] = {}

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.lock = threading.Condition(threading.RLock())
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self._mode: Mode = "ok"
        self._failures_left: int | None = None
        self._commands = 0
        self._server: _Server | None = None

    # What a subclass defines ---------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """Take the request and say what to reply. May raise BadBody."""
        raise NotImplementedError

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:
        """The reply that refuses a request with these headers, in the words of the real service."""
        raise NotImplementedError

    def snapshot(self, name: str | None = None) -> list[dict[str, Any]]:
        """What was taken, of one metric or of all, as plain data for JSON."""
        raise NotImplementedError

    # What a user does ----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """http://127.0.0.1:<port>"""
        return f"http://127.0.0.1:{self.port}"

    def start(self: _S) -> _S:
        """Listen, in a thread. Raises OSError if the port is taken."""
        server = _Server(("127.0.0.1", self.port), self)
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections and cut those that are open, as a crash would."""
        server, self._server = self._server, None
        if server is not None:
            server.cut()
            with self.lock:
                self.lock.notify_all()

    def fail(self, mode: Mode, for_requests: int | None = None) -> None:
        """Fail in this way from now on, for so many requests or until told otherwise; "ok" ends it.

        "hang" never answers: the connection is closed at the next call. "reset" sends a TCP RST.
        Raises ValueError for an unknown mode or a count below 1.
        """
        if mode not in get_args(Mode):
            raise ValueError(f"mode is {mode!r}: expected one of {', '.join(get_args(Mode))}")
        if for_requests is not None and (type(for_requests) is not int or for_requests < 1):
            raise ValueError(f"for_requests is {for_requests!r}: expected null or a number above 0")
        with self.lock:
            self._mode, self._failures_left = mode, for_requests
            self._commands += 1
            self.lock.notify_all()

    def wait_for(self: _S, predicate: Callable[[_S], object], timeout: float = 30) -> None:
        """Return once `predicate(self)` is true; else raises TimeoutError, with what was taken."""
        with self.lock:
            if not self.lock.wait_for(lambda: predicate(self), timeout):
                taken = "\n".join(str(series) for series in self.snapshot()) or "nothing"
                raise TimeoutError(
                    f"{self.name}: not so after {timeout:g} s; "
                    f"requests: {dict(self.requests)}; taken:\n{taken}"
                )

    def __enter__(self: _S) -> _S:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # What the server's threads call --------------------------------------------------------------

    def next_failure(self, server: _Server) -> Mode:
        """How the request that has just come is to fail; returns from a hang when that is over."""
        with self.lock:
            mode = self._mode
            if mode == "ok":
                return mode
            if self._failures_left is not None:
                self._failures_left -= 1
                if self._failures_left == 0:
                    self._mode = "ok"
            if mode == "hang":
                before = self._commands
                self.lock.wait_for(lambda: server.stopping or self._commands != before)
            return mode

    def count(self, method: str, path: str, status: int) -> None:
        """Count one answered request, and wake who waits."""
        with self.lock:
            self.requests[method, path, status] += 1
            self.lock.notify_all()

    def control(self, request: Request) -> Reply:
        """Answer what is asked under /_accubooks/."""
        what = request.path.removeprefix(CONTROL)
        if (request.method, what) == ("GET", "metrics"):
            with self.lock:
                return Reply(200, self.snapshot(request.query.get("metric")))
        if (request.method, what) == ("GET", "requests"):
            with self.lock:
                rows = [
                    {"method": method, "path": path, "status": status, "count": count}
                    for (method, path, status), count in sorted(self.requests.items())
                ]
            return Reply(200, rows)
        if (request.method, what) == ("POST", "fail"):
            return self._control_fail(request.body)
        return Reply(404, {"errors": [f"there is no {request.method} {request.path}"]})

    def _control_fail(self, body: bytes) -> Reply:
        try:
            wanted = json.loads(body)
            self.fail(wanted["mode"], wanted.get("for_requests"))
        except (ValueError, TypeError, LookupError) as error:
            return Reply(400, {"errors": [f'expected {{"mode": ..., "for_requests": n}}: {error}']})
        return Reply(200, {"mode": wanted["mode"]})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sink: Sink) -> None:
        self.sink = sink
        self.stopping = False
        self.connections: set[socket.socket] = set()
        self.resets: set[Any] = set()
        super().__init__(address, _Handler)

    def cut(self) -> None:
        self.stopping = True
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # its client was faster

    def shutdown_request(self, request: Any) -> None:
        if request not in self.resets:
            super().shutdown_request(request)
            return
        # Its orderly shutdown would send a FIN first.
        self.resets.discard(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        error = sys.exc_info()[1]
        # A client that goes away, killed gateways among them, is the daily life of a sink.
        if not isinstance(error, ConnectionError):
            logger.error("%s: a request failed", self.sink.name, exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for head and body
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)

    def _serve(self) -> None:
        sink = self.server.sink
        url = urllib.parse.urlsplit(self.path)
        mode = "ok" if url.path.startswith(CONTROL) else sink.next_failure(self.server)
        if mode in ("hang", "reset"):
            self._drop(reset=mode == "reset")
            return
        limits = sink.limits_of_path.get(url.path, sink.limits)
        try:
            body = read_body(cast(BinaryIO, self.rfile), self.headers, limits)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(urllib.parse.parse_qsl(url.query))
            request = Request(self.command, url.path, query, headers, body)
            reply = self._reply(request, mode)
        except BadBody as error:
            self.close_connection = True  # what is left of the body would be read as a request
            reply = sink.refusal(error.status, str(error), dict(self.headers.items()))
            logger.warning("%s: %s refused: %s", sink.name, self.path, error)
        if not url.path.startswith(CONTROL):
            sink.count(self.command, url.path, reply.status)
        self._send(reply)

    def _reply(self, request: Request, mode: str) -> Reply:
        if request.path.startswith(CONTROL):
            return self.server.sink.control(request)
        if mode == "ok":
            return self.server.sink.answer(request)
        return self.server.sink.refusal(int(mode), "failing on command", request.headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _send(self, reply: Reply) -> None:
        content = reply.encoded()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _drop(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            self.server.resets.add(self.connection)


def serve(sink_class: Callable[[int], Sink], default_port: int) -> None:
    """Run a sink as a program until it is asked to end (SIGINT, SIGTERM)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=default_port, help=f"default {default_port}")
    port = parser.parse_args().port
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with sink_class(port) as sink:
        logger.info("%s listens on %s", sink.name, sink.url)
        ended.wait()
