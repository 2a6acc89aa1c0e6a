"""A backend that takes whatever a gateway sends, says what its service would say, and forgets it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from typing_extensions import Self

# Status and content type by the path's end; all others get 200 without content.
_ANSWERS = {
    "/api/v1/validate": (200, "application/json", b'{"valid": true}'),
    "/api/v2/series": (202, "application/json", b'{"errors": []}'),
    "/api/beta/sketches": (202, "text/plain", b"accepted"),
    "/api/v1/write": (204, "", b""),
    "/v1/metrics": (200, "application/x-protobuf", b""),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer()

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        found = (answer for end, answer in _ANSWERS.items() if path.endswith(end))
        status, kind, body = next(found, (200, "", b""))
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is logged."""


class Sink:
    """The server, in threads of this process, from `with` to its end; `url` is its address."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
