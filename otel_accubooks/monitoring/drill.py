"""The alert drill: requests that fail on purpose, a bounded number at a bounded rate, on this host."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_accubooks.contract.endpoints import TRIGGER_ERRORS
from otel_accubooks.contract.metrics import FIVE_MINUTES, HTTP_ERROR_RATE_PERCENT
from otel_accubooks.export.ratios import Growth
from otel_accubooks.instrument.flask import fail_one
from otel_accubooks.instrument.polling import in_background
from otel_accubooks.monitoring.answers import iso
from otel_accubooks.monitoring.service import Service
from otel_accubooks.recorder.files import replace_file
from otel_accubooks.recorder.process import recorder

MOST = 10_000
LONGEST_SECONDS = 3600
MOST_PER_SECOND = 100
ALERT_SHARE = 0.01  # of HighErrorRate, which must then hold for as long as its window
_BODY_BYTES = 4096
_NAP_SECONDS = 1.0
_DURATION = re.compile(r"([0-9]{1,5})([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}

Values = dict[str, Any]


class Refused(Exception):
    """A drill that is not begun: the HTTP status, why, and what else is to be told."""

    def __init__(self, status: int, reason: str, **more: Any) -> None:
        super().__init__(reason)
        self.status = status
        self.more = more


@dataclass(frozen=True)
class Drill:
    """`count` errors, evenly over `seconds`, from `begins` on (Unix seconds)."""

    count: int
    seconds: int
    begins: float

    def told(self) -> Values:
        """What it does, as JSON."""
        return {
            "count": self.count,
            "duration_seconds": self.seconds,
            "per_second": round(self.count / self.seconds, 4),
            "route": TRIGGER_ERRORS.path,
            "method": TRIGGER_ERRORS.method,
            "status_code": "500",
            "begins": iso(self.begins),
            "ends": iso(self.begins + self.seconds),
        }


class Drills:
    """The drills of this process; one at a time runs on a host."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running: tuple[int, Drill] | None = None

    def start(self, environ: dict[str, Any]) -> Values:
        """Begins the drill that the request asks for; tells what it will do. Raises Refused."""
        count, seconds = asked(body_of(environ))
        self._refuse_while_one_runs()
        traffic = self._service.growth(HTTP_ERROR_RATE_PERCENT)
        drill = Drill(count, seconds, time.time())
        lock = self._take(drill)
        self._running = os.getpid(), drill

        def run(sleep: Callable[[float], None]) -> None:
            try:
                _fail_evenly(drill, sleep)
            finally:
                self._running = None
                if lock is not None:
                    os.close(lock)

        if not in_background(run):
            self._running = None
            if lock is not None:
                os.close(lock)
            raise Refused(503, "no thread may run here: start uWSGI with --enable-threads")
        return drill.told() | outlook(drill, traffic)

    def _refuse_while_one_runs(self) -> None:
        # Asked before the lock is tried, since this process would lose its own by trying.
        running = self._running
        if running is not None and running[0] == os.getpid():
            raise _busy(running[1].told())

    def _take(self, drill: Drill) -> int | None:
        """The lock of the host's one drill; None where processes share no folder."""
        if recorder.folder is None or recorder.segment is None:
            return None
        told = recorder.folder.path / "drill"
        lock = recorder.folder.try_lock("drill")
        if lock is None:
            raise _busy(_read(told))
        replace_file(told, json.dumps(drill.told()))
        return lock


def _busy(running: Values) -> Refused:
    return Refused(409, "a drill is running on this host", running=running)


def _read(path: Path) -> Values:
    try:
        told: Values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # it has only just begun
    return told


def _fail_evenly(drill: Drill, sleep: Callable[[float], None]) -> None:
    began = time.monotonic()
    for number in range(drill.count):
        due = began + number * drill.seconds / drill.count
        while (left := due - time.monotonic()) > 0:
            sleep(min(left, _NAP_SECONDS))
        fail_one(TRIGGER_ERRORS.path)


def body_of(environ: dict[str, Any]) -> Any:
    """The JSON body of a WSGI request. Raises Refused where it is none, or is too long."""
    example = 'expected a JSON object such as {"count": 100, "duration": "5m"}'
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > _BODY_BYTES:
        raise Refused(400, f"the body has {length} bytes, {example}")
    if not length and environ.get("wsgi.input_terminated"):
        length = _BODY_BYTES  # sent in chunks
    try:
        return json.loads(environ["wsgi.input"].read(length))
    except (ValueError, RecursionError):
        raise Refused(400, f"the body is no JSON, {example}") from None


def asked(body: Any) -> tuple[int, int]:
    """Count and seconds of a drill. Raises Refused with what was found and what was expected."""
    if not isinstance(body, dict) or set(body) != {"count", "duration"}:
        found = ", ".join(sorted(map(str, body))) if isinstance(body, dict) else type(body).__name__
        raise Refused(400, f"found {found or 'nothing'}, expected the keys count and duration")
    count, duration = body["count"], body["duration"]
    if type(count) is not int or not 1 <= count <= MOST:
        raise Refused(400, f"count is {count!r}, expected a whole number from 1 to {MOST}")
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise Refused(400, f"duration is {duration!r}, expected 1s to 1h, such as 300s or 5m")
    if count > seconds * MOST_PER_SECOND:
        raise Refused(
            400,
            f"that is {count / seconds:g} errors a second, expected {MOST_PER_SECOND} at most: "
            f"spread them over {math.ceil(count / MOST_PER_SECOND)}s",
        )
    return count, seconds


def outlook(drill: Drill, traffic: Growth) -> Values:
    """Whether the drill lifts the share of errors over that of the alert, and what count would.

    `traffic` is of the last minutes; its errors and its requests are taken to go on as they were.
    """
    window = FIVE_MINUTES
    scale = window / max(traffic.seconds, 1.0)
    errors, requests = traffic.part * scale, traffic.whole * scale
    # Of a drill that is longer than the window, only a part is ever in it.
    in_window = max(1.0, drill.seconds / window)
    added = drill.count / in_window
    enough = max(0.0, (ALERT_SHARE * requests - errors) / (1 - ALERT_SHARE))
    return {
        "requests_in_5_minutes": round(requests),
        "error_percent_now": round(100 * errors / requests, 4) if requests else 0.0,
        "error_percent_expected": round(100 * (errors + added) / (requests + added), 4),
        "over_1_percent": (errors + added) / (requests + added) > ALERT_SHARE,
        "count_for_over_1_percent": math.floor(enough * in_window) + 1,
        # The share rises while the window fills and falls while it empties: with twice as many it
        # is above for half of both, which together are a window.
        "count_for_over_1_percent_for_5_minutes": math.floor(enough * max(2.0, in_window)) + 1,
    }
