"""A collector that is not well: what may be found at its address instead of an answer."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Mapping

import httpx

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import LOOPBACK

# What comes from a collector that is not well; `works` hands on to one that is.
MODES: Mapping[str, bytes] = {
    "garbage": bytes(range(256)) * 4 + b"\r\n\r\n",
    "redirects": b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n",
    "is a web page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Connection: close\r\n"
    b"Content-Length: 20\r\n\r\n<html>log in</html>\n",
    "400": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "401": b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "413": b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "429, come back in a year": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 31536000\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n",
    "503, come back in 2099": b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Retry-After: Thu, 01 Jan 2099 00:00:00 GMT\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "hangs": b"",
    "hangs in the header": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "a header that never ends": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "a body that never ends": b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
    b"Content-Length: 1000000000000\r\n\r\n",
    "a body without end": b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n",
}
_DRIPS = {"a header that never ends": (b"x", 0.1), "a body that never ends": (b"\0", 0.1)}
_FLOODS = {"a body without end": b"\0" * 65536}


class Collector(http.server.ThreadingHTTPServer):
    """A collector at one address all along, whatever is the matter with it: see `mode`."""

    daemon_threads = True

    def __init__(self, sink: OtlpReceiver, port: int = 0) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.sink = sink
        self.mode = "works"
        self.asked = 0
        self.port = self.server_address[1]
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def handle_error(self, *_: object) -> None:
        """Who asks may hang up at any time."""

    def close(self) -> None:
        self.mode = "ended"
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        mode = self.server.mode
        self.server.asked += 1
        if mode == "works":
            self._hand_on(sent)
            return
        self.close_connection = True
        self.wfile.write(MODES[mode])
        self.wfile.flush()
        piece, pause = _DRIPS.get(mode, (_FLOODS.get(mode, b""), 0.0))
        while mode.startswith(("hangs", "a ")) and self.server.mode == mode:
            if piece:
                self.wfile.write(piece)
                self.wfile.flush()
            time.sleep(pause or (0.0 if piece else 0.1))

    def _hand_on(self, sent: bytes) -> None:
        headers = {n: v for n, v in self.headers.items() if n.lower().startswith("content-")}
        with httpx.Client(trust_env=False, timeout=10) as client:
            answer = client.post(self.server.sink.url + self.path, content=sent, headers=headers)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["content-type"])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        pass
