"""The monitoring endpoints: of each application here, and as the world reaches it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from otel_accubooks.contract.endpoints import HEALTH
from otel_accubooks.doctor.asking import Answer, ask
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.processes import Application, ports
from otel_accubooks.doctor.prometheus import UNHEALTHY
from otel_accubooks.doctor.scene import Clock, Scene
from otel_accubooks.launch.settings import read_settings

MISSING = Kind(
    "endpoints-missing", "wrong",
    "An application under the launcher does not answer at its health address: nothing is in front of "
    "it.",
    "JSON with a status, of /api/monitoring/health",
    "see that the application is Flask, and that it runs under opentelemetry-instrument: its log says "
    "what went wrong",
)  # fmt: skip
HANGS = Kind(
    "application-hangs", "wrong",
    "An application listens, and does not answer at its health address.",
    "an answer within 100 ms, which asks no database",
    "see what its workers are busy with (py-spy dump), or give it more of them",
)  # fmt: skip
HIDDEN = Kind(
    "endpoints-hidden", "suspicious",
    "At the application's public address something else answers than its health.",
    "JSON with a status, of /api/monitoring/health",
    "let the proxy in front pass /api/monitoring on, or correct `application` in alerting.toml",
)  # fmt: skip
UNREACHABLE = Kind(
    "application-unreachable", "suspicious",
    "The application's public address, of alerting.toml, is not reached from here.",
    "an answer of its health address",
    "start it, or correct `application` in alerting.toml",
)  # fmt: skip

MODEL = Kind(
    "application-address-of-the-model", "note",
    "`application` in alerting.toml is still the model's: nobody is asked there.",
    "the application's own address, as the world reaches it",
    "write the application's address into alerting.toml",
)  # fmt: skip

_RESERVED = (".example", ".invalid", ".test", "example.com", "example.org", "example.net")
_EVERYWHERE = "0.0.0.0"  # noqa: S104
_WEB = ("gunicorn", "uwsgi", "waitress", "flask", "python")


def check(scene: Scene) -> Iterator[Finding]:
    """Asked once each; it counts as no request of the application."""
    for application in scene.processes.applications:
        if application.server in _WEB and (application.launched or application.counts):
            yield from _local(scene, application)
    if scene.application:
        yield from _public(scene)


def _local(scene: Scene, application: Application) -> Iterator[Finding]:
    env = next((one.env for one in application.members if one.env), {})
    prefix = read_settings(env).monitoring_prefix
    if prefix is None or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    found = {address for one in application.members for address in ports(one.pid)}
    last: tuple[str, Answer] | None = None
    for host, port in sorted(found):
        # Who listens everywhere is asked on the loopback.
        name = "127.0.0.1" if host == _EVERYWHERE else "[::1]" if host == "::" else host
        name = f"[{name}]" if ":" in name and "[" not in name else name
        url = f"http://{name}:{port}{HEALTH.paths(prefix)[0]}"
        answer = ask("GET", url)
        if _is_health(answer):
            scene.answering |= {one.pid for one in application.members}
            scene.looked.append(f"{url} ({_status(answer)})")
            if answer.status == 503:
                yield UNHEALTHY.found(f"{url} says {_status(answer)}", address=url)
            return
        if answer.trouble == "timeout":
            yield HANGS.found(f"{url}: no answer in 5 s", address=url, **application.first.where())
            return
        if answer.status and answer.status != 400:
            last = url, answer
    # What Flask's pages look like where nobody answers in front is no proof of what it is.
    if last is not None and application.server != "python" and not scene.explained(application):
        url, answer = last
        yield MISSING.found(
            f"{url} answers {answer.status}, and no health",
            address=url,
            **application.first.where(),
        )


def _public(scene: Scene) -> Iterator[Finding]:
    url = f"{scene.application.rstrip('/')}{HEALTH.paths()[0]}"
    if (urlsplit(url).hostname or "").endswith(_RESERVED):
        yield MODEL.found(f"application = {scene.application!r}", address=url)
        return
    answer = ask("GET", url, env=scene.environ)
    if answer.apart is not None and _is_health(answer):
        scene.clocks.append(Clock(f"the application at {scene.application}", answer.apart))
    if answer.trouble:
        yield UNREACHABLE.found(f"{url}: {answer.said}", address=url)
    elif not _is_health(answer):
        to = (answer.headers or {}).get("location", "")
        yield HIDDEN.found(
            f"{url} answers {answer.status}{f' to {to}' if to else ''}, and no health", address=url
        )
    elif answer.status == 503:
        yield UNHEALTHY.found(f"{url} says {_status(answer)}", address=url)
    scene.looked.append(f"{url} ({answer.status or answer.said})")


def _body(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_health(answer: Answer) -> bool:
    return answer.status in (200, 503) and {"status", "uptime", "database"} <= _body(answer).keys()


def _status(answer: Answer) -> str:
    body = _body(answer)
    parts = [f"{name} {body[name]}" for name in ("database", "cache", "queue") if name in body]
    return f"{body.get('status')}: {', '.join(parts)}"
