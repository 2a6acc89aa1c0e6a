"""The whole examination: every check in its order, what was found, and what was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_accubooks.doctor import (
    access,
    arrival,
    clocks,
    datadog,
    endpoints,
    environment,
    exporter,
    folders,
    gateway,
    launcher,
    packages,
    processes,
    prometheus,
    rules,
    uwsgi,
)
from otel_accubooks.doctor.causes import causes
from otel_accubooks.doctor.finding import SEVERITIES, Finding, Kind
from otel_accubooks.doctor.scene import Check, Scene
from otel_accubooks.doctor.service import services
from otel_accubooks.servers.settings import Servers

CHECK_FAILED = Kind(
    "check-failed", "suspicious",
    "A check could not be made: what it would have found is not known.",
    "a check that ends",
    "read the reason, mend that, and call the doctor again",
)  # fmt: skip
Say = Callable[[str], None]
# In the order of a signal's way, so that a cause is found before what follows from it.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("applications", launcher.check),
    ("their packages", packages.check),
    ("their environment", environment.check),
    ("uWSGI", uwsgi.check),
    ("rules", rules.check),
    ("Prometheus", prometheus.reach),
    ("Datadog", datadog.reach),
    ("endpoints", endpoints.check),
    ("folders", folders.check),
    ("exporters", exporter.check),
    ("applications that count nothing", launcher.silent),
    ("gateways", gateway.check),
    ("who may send", access.check),
    ("what Prometheus scrapes and evaluates", prometheus.check),
    ("what is sent to nobody", prometheus.unsent),
    ("clocks", clocks.check),
)
LAST: tuple[tuple[str, Check], ...] = (
    ("what arrives", arrival.check),
    ("what arrives in Datadog", datadog.check),
    ("what the rules counted", rules.counted),
)
_LOST = ("probe-lost", "series-missing", "series-stale", "counts-behind")
_FOLLOWS = (*_LOST, "not-arriving-at-gateway", "exporter-problem", "endpoints-missing")


@dataclass(frozen=True)
class Report:
    """What was found, the worst first, and what was looked at."""

    findings: tuple[Finding, ...]
    looked: tuple[str, ...]

    @property
    def ill(self) -> bool:
        """True where something was found that is more than a note."""
        return any(finding.kind.severity != "note" for finding in self.findings)

    def in_words(self) -> dict[str, Any]:
        """All of it, for machines."""
        counts = {s: sum(f.kind.severity == s for f in self.findings) for s in SEVERITIES}
        return {
            "healthy": not self.ill,
            "found": counts,
            "findings": [finding.in_words() for finding in self.findings],
            "looked_at": list(self.looked),
        }


def examine(
    servers: Servers,
    environ: Mapping[str, str],
    *,
    pids: Sequence[int] = (),
    application: str = "",
    wait_seconds: float = 30.0,
    say: Say = lambda _: None,
) -> Report:
    """Looks at everything; `say` is told each step before it begins. Never raises.

    `application` is its public address; `wait_seconds` are given to what was sent to arrive.
    """
    scene = Scene(servers, environ, pids, application, wait_seconds)
    _attempt(scene, "processes", _look, say)
    for name, check in CHECKS:
        _attempt(scene, name, check, say)
    own: list[Any] = []
    _attempt(scene, "what servers say of themselves", lambda scene: _begin(scene, own), say)
    for name, check in LAST:
        _attempt(scene, name, check, say)
    _attempt(scene, "what was refused meanwhile", lambda scene: _end(scene, own), say)
    if scene.prometheus is not None:
        scene.prometheus.close()
    secrets = scene.secrets()
    order = {severity: index for index, severity in enumerate(SEVERITIES)}
    # What follows from others comes after them.
    worst = sorted(
        causes(scene.findings), key=lambda f: (order[f.kind.severity], f.kind.id in _FOLLOWS)
    )
    found = {(f.kind.id, f.found): f.without(secrets) for f in worst}
    blotted = Finding(CHECK_FAILED, "", "", {})
    looked = [_without(text, secrets, blotted) for text in _looked(scene)]
    return Report(tuple(found.values()), tuple(looked))


def _without(text: str, secrets: frozenset[str], like: Finding) -> str:
    return Finding(like.kind, text, "", {}).without(secrets).found


def _attempt(scene: Scene, name: str, check: Check, say: Say) -> None:
    say(name)
    try:
        for finding in check(scene):
            scene.findings.append(finding)
    except Exception as error:  # what is broken in one place must not hide the rest
        scene.findings.append(CHECK_FAILED.found(f"{name}: {type(error).__name__}: {error}"))


def _look(scene: Scene) -> Iterator[Finding]:
    scene.processes = processes.look(scene.pids, scene.servers.service)
    scene.services = services(scene.processes, bool(scene.pids or scene.servers.service))
    yield from ()


def _begin(scene: Scene, own: list[Any]) -> Iterator[Finding]:
    of_gateways = gateway.OwnMetrics(scene, prometheus.gateway_pages(scene))
    scene.looked += [f"{page} (the gateway's own metrics)" for page in of_gateways.seen()]
    own += [of_gateways, prometheus.OwnMetrics(scene)]
    yield from ()


def _end(scene: Scene, own: list[Any]) -> Iterator[Finding]:
    of_gateways, of_prometheus = own
    losing = {f.where.get("address") for f in scene.findings if f.kind.id == "probe-lost"}
    yield from of_gateways.check(lost=scene.has(*_LOST), losing=losing)
    yield from of_prometheus.check()


def _looked(scene: Scene) -> list[str]:
    applications = ", ".join(map(str, scene.processes.applications)) or "no application"
    named = ", ".join(service.title for service in scene.services) or "none"
    lines = [f"applications: {applications}, of {scene.processes.looked_at} processes"]
    return [*lines, f"services with counts on this host: {named}", *scene.looked]
