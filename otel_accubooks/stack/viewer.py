"""The built-in viewer of the dashboards as a process, the way its users run it."""

from __future__ import annotations

import sys
from pathlib import Path

from otel_accubooks.stack.ports import LOOPBACK, free_port, http_ok
from otel_accubooks.stack.process import Server

_SERVE = """
import sys
from otel_accubooks.viewer import serve
prometheus, port, runbooks, only = sys.argv[1:]
serve(prometheus, port=int(port), runbooks=runbooks, only=only or None)
"""


class Viewer(Server):
    """The dashboards over the Prometheus at that address, or `only` one of them; log in `folder`.

    `runbooks` is the address below which <alert>.md is found.
    """

    def __init__(
        self,
        folder: Path,
        prometheus: str,
        *,
        runbooks: str,
        only: str | None = None,
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        super().__init__(
            "dashboards",
            [sys.executable, "-c", _SERVE, prometheus, str(self.port), runbooks, only or ""],
            log=folder / "dashboards.log",
            ready=lambda: http_ok(f"{self.url}/"),
        )
