"""What the exporter has to say, in a file that the application's processes read and log."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from otel_accubooks.export.spawn import read_problem
from otel_accubooks.recorder.folder import replace_file

DEFAULT_ENDPOINT = "http://localhost:4318"
GRPC_PORT = 4317


class Status:
    """Keeps one sentence: what is wrong now, or nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problem = read_problem(path)  # what a predecessor said stands until it is over
        self._standing: str | None = None
        self._heard = _FirstWarning()
        logging.getLogger().addHandler(self._heard)

    def say(self, problem: str) -> None:
        """Notes a problem that stands as long as this exporter."""
        self._standing = self._problem = problem
        self._write(problem)

    def listen(self) -> None:
        """From now on, the first warning is the reason for what fails."""
        self._heard.text = ""

    def sent(self, success: bool) -> None:
        """Notes the outcome of an export."""
        problem = self._standing if success else _not_arriving(self._heard.text)
        if problem != self._problem:
            self._problem = problem
            self._write(problem)

    def _write(self, problem: str | None) -> None:
        try:
            replace_file(self._path, json.dumps({"problem": problem}))
        except OSError:
            pass  # no room to say it


def _not_arriving(reason: str) -> str:
    endpoint = (
        os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
        or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or DEFAULT_ENDPOINT
    )
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        return (
            f"OTEL_EXPORTER_OTLP_ENDPOINT is {endpoint!r}, expected an address such as "
            f"{DEFAULT_ENDPOINT}; until it is mended nothing is sent"
        )
    where = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    hint = " (4317 is usually the gRPC port, OTLP over HTTP has 4318)"
    # The transport names the whole address, and a query may be a secret.
    reason = re.sub(r" with url: \S+", "", reason)
    return (
        f"metrics are not arriving at {where}{hint if port == GRPC_PORT else ''}: "
        f"{reason or 'no acknowledgement'}; counting goes on, and all is sent once it answers"
    )


class _FirstWarning(logging.Handler):
    """Remembers the first warning since it was last forgotten: later ones say what follows from it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = self.text or record.getMessage()
