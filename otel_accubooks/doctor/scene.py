"""What the checks look at, and what they have found so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from otel_accubooks.doctor.destinations import Destination
from otel_accubooks.doctor.finding import Finding
from otel_accubooks.doctor.interpreter import Interpreter
from otel_accubooks.doctor.processes import Application, Processes, Running
from otel_accubooks.doctor.service import Service
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.servers.settings import Servers

Check = Callable[["Scene"], Iterable[Finding]]


@dataclass(frozen=True)
class Clock:
    """What a server's clock says, less ours, in seconds."""

    server: str
    apart: float


@dataclass
class Scene:
    """One examination. `looked` names what was looked at, one line each, for the closing words.

    `application` is the address at which the world reaches the application, or "".
    """

    servers: Servers
    environ: Mapping[str, str]
    pids: Sequence[int] = ()
    application: str = ""
    wait_seconds: float = 30.0
    processes: Processes = field(default_factory=Processes)
    services: list[Service] = field(default_factory=list)
    interpreters: dict[int, Interpreter] = field(
        default_factory=dict
    )  # by an application's first pid
    prometheus: Prometheus | None = None
    unsent: list[Running] = field(default_factory=list)  # told to send nothing to anybody
    destinations: list[Destination] = field(default_factory=list)
    gateways: list[Destination] = field(default_factory=list)  # those that answered as they should
    datadog: bool = False  # its API answers, and may be asked
    probes: set[int] = field(default_factory=set)  # values of the marked metric that were sent
    arrived: set[int] = field(default_factory=set)  # those that were seen in a backend
    clocks: list[Clock] = field(default_factory=list)
    answering: set[int] = field(default_factory=set)  # processes whose monitoring endpoints answer
    findings: list[Finding] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)

    def launched(self) -> list[Running]:
        """One process of each application that runs under the launcher."""
        found = []
        for application in self.processes.applications:
            first = next((one for one in application.members if one.launched), None)
            if first is not None:
                found.append(first)
        return found

    def explained(self, application: Application) -> bool:
        """True where something was found already that keeps the application from counting."""
        wrong = {f.where.get("pid") for f in self.findings if f.kind.severity == "wrong"}
        return bool(wrong & {one.pid for one in application.members})

    def has(self, *ids: str) -> bool:
        """True where one of these was found already."""
        return any(finding.kind.id in ids for finding in self.findings)

    def secrets(self) -> frozenset[str]:
        """Texts that must not be shown, whoever repeats them."""
        found: set[str] = set()
        environments = [self.environ]
        for application in self.processes.applications:
            environments += [one.env for one in application.members if one.env]
        environments += [e.process.env for e in self.processes.exporters if e.process.env]
        for env in environments:
            found |= _secrets_of(env)
        return frozenset(found)


_WORDS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "APP_KEY", "HEADERS", "CREDENTIAL")
_LEAST = 6  # shorter ones are parts of usual words


def _secrets_of(env: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    for name, value in env.items():
        if any(word in name.upper() for word in _WORDS):
            parts = [value, *value.split(","), *(p.partition("=")[2] for p in value.split(","))]
            parts += [unquote(part) for part in parts]
            found |= {word for part in parts for word in (part, *part.split()) if word}
        if "://" in value and "@" in value:
            user = value.partition("://")[2].rpartition("@")[0]
            found |= {user.partition(":")[2]}
    usual = {"bearer", "authorization"}
    return {
        word.strip() for word in found
        if len(word.strip()) >= _LEAST and word.strip().rpartition("=")[2].lower() not in usual
        and not word.strip().startswith("/")
    }  # fmt: skip
