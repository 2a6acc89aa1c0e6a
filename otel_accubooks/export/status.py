"""What the exporter has to say, in a file that the application's processes read and log."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from otel_accubooks.export.spawn import read_notes, read_problem
from otel_accubooks.recorder.files import replace_file

DEFAULT_ENDPOINT = "http://localhost:4318"
GRPC_PORT = 4317


MOST_NOTES = 100
MOST_REASONS = 3  # that are said of one outage


class Status:
    """Keeps one sentence: what is wrong now, or nothing. And notes, of what happened once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._notes = read_notes(path)
        self._problem = read_problem(path)  # what a predecessor said stands until it is over
        self._standing: dict[str, str] = {}
        self._reasons: set[str] = set()  # of this outage, each without its numbers
        self._heard = _FirstWarning()
        logging.getLogger().addHandler(self._heard)

    def say(self, about: str, problem: str | None) -> None:
        """Notes a problem that stands until it is said, of the same thing, that there is none."""
        if self._standing.get(about) == problem:
            return
        if problem is None:
            del self._standing[about]
        else:
            self._standing[about] = problem
        self._reasons.clear()  # or what is not arriving would be forgotten
        self._problem = self._all_standing()
        self.write()

    def note(self, text: str) -> None:
        """Notes what is to be logged once."""
        if text not in self._notes and len(self._notes) < MOST_NOTES:
            self._notes.append(text)
            self.write()

    def _all_standing(self) -> str | None:
        return "; ".join(self._standing.values()) or None

    def listen(self) -> None:
        """From now on, the first warning is the reason for what fails."""
        self._heard.text = ""

    def sent(self, success: bool) -> None:
        """Notes the outcome of an export."""
        if success:
            self._reasons.clear()
            problem = self._all_standing()
        elif self._is_known(self._heard.text):
            return
        else:
            problem = not_arriving(self._heard.text)
        if problem != self._problem:
            self._problem = problem
            self.write()

    def _is_known(self, reason: str) -> bool:
        # What comes and goes while it lasts, or has other numbers each time, is not said each time.
        kind = re.sub(r"0x\w+|\d+", "", reason)
        if kind in self._reasons or len(self._reasons) == MOST_REASONS:
            return True
        self._reasons.add(kind)
        return False

    def write(self) -> None:
        """Writes the file; again, where it was deleted."""
        try:
            content = {"problem": self._problem, "notes": self._notes}
            replace_file(self._path, json.dumps(content))
        except OSError:
            pass  # no room to say it


def not_arriving(
    reason: str,
    what: str = "metrics",
    signal: str = "METRICS",
    goes_on: str = "counting goes on, and all is sent once it answers",
) -> str:
    """One sentence: `what` does not arrive, where, why, and what follows from it.

    `signal` is the word in the names of OpenTelemetry's variables.
    """
    names = (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    variable = next((name for name in names if os.environ.get(name)), names[-1])
    endpoint = os.environ.get(variable) or DEFAULT_ENDPOINT
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        shown = endpoint.rpartition("@")[2]  # without a password
        return (
            f"{variable} is {shown!r}, expected an address such as "
            f"{DEFAULT_ENDPOINT}; until it is mended nothing is sent"
        )
    where = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    hint = " (4317 is usually the gRPC port, OTLP over HTTP has 4318)"
    # The transport names the whole address, and a query may be a secret.
    reason = re.sub(r" with url: \S+", "", reason)
    return (
        f"{what} are not arriving at {where}{hint if port == GRPC_PORT else ''}: "
        f"{reason or 'no acknowledgement'}; {goes_on}"
    )


class _FirstWarning(logging.Handler):
    """Remembers the first warning since it was last forgotten: later ones say what follows from it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = self.text or record.getMessage()
