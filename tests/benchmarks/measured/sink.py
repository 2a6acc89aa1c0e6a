"""Takes whatever is sent by HTTP and answers 200: python sink.py PORT.

It decodes nothing, so that the machine's cores are left to what is measured.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What ddtrace asks before it sends anything.
INFO = {
    "version": "7.60.0",
    "endpoints": ["/v0.4/traces", "/v0.5/traces", "/v0.6/stats", "/telemetry/proxy/"],
    "config": {},
}


class Handler(BaseHTTPRequestHandler):
    """Reads a body of known length or in chunks, and answers what the sender is content with."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self._read_body()
        answer = b""
        if self.path == "/info":
            answer = json.dumps(INFO).encode()
        elif self.path.startswith("/v0."):
            answer = b'{"rate_by_service": {"service:,env:": 1.0}}'
        self.send_response(200)
        kind = "application/x-protobuf" if self.path.startswith("/v1/") else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _answer

    def _read_body(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing of each request."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    print("listening", flush=True)
    server.serve_forever()
