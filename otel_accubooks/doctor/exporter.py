"""The exporter of each service: whether it runs, and what it says itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import psutil

from otel_accubooks.doctor import processes
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.folders import SERIES_LIMIT
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.doctor.service import Service
from otel_accubooks.export.spawn import read_notes, read_problem

NOT_RUNNING = Kind(
    "exporter-not-running", "wrong",
    "Processes of a service count, and the exporter that sends for them does not run.",
    "one exporter for each service on a host; its processes start it, and start it again",
    "look for `otel-accubooks` in the application's log; without threads (uWSGI) send a request",
)  # fmt: skip
HANGS = Kind(
    "exporter-hangs", "wrong",
    "The exporter of a service runs, and has collected nothing for several intervals.",
    "a collection each OTEL_METRIC_EXPORT_INTERVAL",
    "end that process: the application starts another, and nothing is lost",
)  # fmt: skip
NOT_ARRIVING = Kind(
    "not-arriving-at-gateway", "wrong",
    "The exporter says that its metrics do not arrive.",
    "an answer of 200 to each export",
    "do what the reason says: the gateway's address, its log, its certificate",
)  # fmt: skip
TOKEN = Kind(
    "token-refused", "wrong",
    "The gateway refuses the token.",
    "a token that is in the gateway's GATEWAY_TOKENS_FILE",
    "set OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20<token>' with a token that the gateway "
    "knows, and restart the application",
)  # fmt: skip
UNREACHABLE = Kind(
    "gateway-unreachable", "wrong",
    "Nothing answers at the gateway's address.",
    "a gateway that listens at OTEL_EXPORTER_OTLP_ENDPOINT",
    "start the gateway, or correct OTEL_EXPORTER_OTLP_ENDPOINT (in a container localhost is the "
    "container; a gateway listens on 127.0.0.1 until a file of collector/options opens it)",
)  # fmt: skip
PROBLEM = Kind(
    "exporter-problem", "wrong",
    "The exporter has a standing problem.",
    "an exporter without one",
    "do what it says, and restart the application",
)  # fmt: skip
NOTE = Kind(
    "exporter-note", "suspicious",
    "The exporter has noted something that happened once.",
    "no note",
    "read it; it goes with the next start of the service",
)  # fmt: skip

_AGAIN_SECONDS = 4.0
# Told of the environment, with its process.
_NO_NAME = re.compile(r"OTEL_SERVICE_NAME is not set: .*? of this application(; )?")
_REASONS = (
    (TOKEN, r"\b(401|403)\b|[Uu]nauthori|[Ff]orbidden|UNAUTHENTICATED|PERMISSION_DENIED"),
    (
        UNREACHABLE,
        r"[Cc]onnection refused|cannot be resolved|no answer within|timed? ?out|No route|"
        r"UNAVAILABLE|unreachable",
    ),
)


def check(scene: Scene) -> Iterator[Finding]:
    """Each service that counts. One that has no exporter right now is looked at once more."""
    missing = [s for s in scene.services if s.members and _counting(s) and s.exporter is None]
    give_up = time.monotonic() + _AGAIN_SECONDS
    while missing and time.monotonic() < give_up:
        time.sleep(0.5)
        running = processes.look(scene.pids).exporters
        for service in [*missing]:
            service.exporter = next((e for e in running if _is_of(e, service)), None)
            if service.exporter is not None:
                missing.remove(service)
    for service in scene.services:
        if service in missing and any(one.folders for one in service.members):
            yield NOT_RUNNING.found(f"{service.title} has no exporter", **service.where())
        if service.members or service.exporter:
            yield from _says(service)


def _counting(service: Service) -> bool:
    return any(one.folders for one in service.members)


def _is_of(exporter: processes.Exporter, service: Service) -> bool:
    try:
        return exporter.process.seen(exporter.folder).samefile(service.folder)
    except OSError:
        return False


def _says(service: Service) -> Iterator[Finding]:
    where: dict[str, Any] = service.where()
    if service.exporter is not None:
        where["pid"] = service.exporter.process.pid
        yield from _hanging(service, where)
    status = service.folder / "status"
    problem = _NO_NAME.sub("", read_problem(status) or "")
    if problem:
        yield _problem(problem, where)
    for text in read_notes(status):
        kind = SERIES_LIMIT if "OTEL_ACCUBOOKS_SERIES_LIMIT" in text else NOTE
        if kind is SERIES_LIMIT and text.partition(" ")[0] in service.reader.exceeded:
            continue  # told already
        yield kind.found(text, **where)


def _problem(text: str, where: dict[str, Any]) -> Finding:
    if "not arriving" not in text:
        return PROBLEM.found(text, **where)
    kind = next((kind for kind, words in _REASONS if re.search(words, text)), NOT_ARRIVING)
    return kind.found(text, **where)


def _hanging(service: Service, where: dict[str, Any]) -> Iterator[Finding]:
    assert service.exporter is not None
    pid = service.exporter.process.pid
    try:
        if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
            yield HANGS.found(f"the exporter (pid {pid}) of {service.title} is stopped", **where)
            return
    except psutil.Error:
        return  # it has just ended
    try:
        stale_at = float(json.loads((service.folder / "shared").read_text("utf-8"))["stale_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # it has just begun, or there is no room: which is told elsewhere
    running = time.time() - service.exporter.process.started
    if time.time() > stale_at and running > max(60.0, 4 * service.interval):
        yield HANGS.found(
            f"the exporter (pid {pid}) of {service.title} has collected "
            f"nothing for {time.time() - stale_at + 60:.0f} s and more",
            **where,
        )
