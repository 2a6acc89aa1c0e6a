"""What the tests here share: the deployment, ways to break it, and what is then seen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import yaml
from conftest import eventually

from otel_accubooks.contract.checklist import LookName
from otel_accubooks.servers.prometheus import Prometheus as Client
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.deployment import SERVICE, Deployment
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.stack.receivers import Receivers
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.verification import run_step
from otel_accubooks.verify.way import Site
from otel_accubooks.verify.ways import prometheus_alone

STEPS = {name: step for step in prometheus_alone() for name in step.gives}
PATIENCE = 60.0


@dataclass
class Place:
    """One deployment with everything twice, and what is known of it here."""

    deployment: Deployment
    receivers: Receivers
    rules: Path
    servers: Servers = field(init=False)

    def __post_init__(self) -> None:
        assert self.deployment.prometheus is not None
        assert self.deployment.standby is not None
        self.prometheus: Prometheus = self.deployment.prometheus
        self.standby: Prometheus = self.deployment.standby
        self.servers = replace(
            self.receivers.servers,
            service=SERVICE,
            prometheus=self.prometheus.url,
            standby=self.standby.url,
            gateway=f"http://127.0.0.1:{self.deployment.ports.otlp_http}",
        )

    def look(self, name: LookName, to: Mapping[str, Any] | None = None, **servers: Any) -> Look:
        """The first look of this name that did not pass, else one that did."""
        looks = [look for look in self.looks(name, to, **servers) if look.name == name]
        return next((look for look in looks if look.state != "passed"), looks[0])

    def looks(
        self, name: LookName, to: Mapping[str, Any] | None = None, **servers: Any
    ) -> list[Look]:
        """All looks of the step that gives this one, with other addresses, or other servers."""
        addresses = replace(self.receivers.to, **(to or {}))
        chosen = replace(self.servers, **servers)
        return run_step(STEPS[name], Site(chosen, addresses, {}, lambda _: None))


@contextmanager
def reloaded(server: Any, path: Path, change: Callable[[Any], None]) -> Iterator[None]:
    """The server runs with its YAML file `path` changed, and then with what it had."""
    text = path.read_text()
    content = yaml.safe_load(text)
    change(content)
    try:
        _reload(server, path, yaml.safe_dump(content, sort_keys=False))
        yield
    finally:
        _reload(server, path, text)


def _reload(server: Any, path: Path, text: str) -> None:
    kind = "prometheus" if isinstance(server, Prometheus) else "alertmanager"
    name = f"{kind}_config_last_reload_success_timestamp_seconds"
    before = _metric(server, name)
    path.write_text(text)
    os.kill(server.pid, signal.SIGHUP)
    assert eventually(lambda: _metric(server, name) > before, PATIENCE), f"{path} is not taken"


def _metric(server: Any, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics", trust_env=False).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def failed(look: Look, told: str) -> None:
    """It did, and says so in its line or in its evidence."""
    assert look.state == "failed", look
    assert told in text(look)


def will_fail(look: Callable[[], Look], told: str) -> None:
    """The same, once a server has taken in what was changed under it."""
    seen: list[Look] = []
    eventually(lambda: seen.append(look()) or told in text(seen[-1]), PATIENCE)
    failed(seen[-1], told)


def text(look: Look) -> str:
    return "\n".join([look.said, *look.evidence])


def up(place: Place, address: str) -> str:
    """The health of the target of the application's, or the gateway's, job at this address."""
    with closing(Client(place.prometheus.url)) as client:
        targets = [
            t for t in client.targets() if t["labels"]["job"] in ("accubooks", "otel-gateway")
        ]
        return " ".join(t["health"] for t in targets if address in t["scrapeUrl"])
