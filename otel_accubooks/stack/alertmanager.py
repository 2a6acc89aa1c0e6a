"""An Alertmanager of our own, with the configuration that is rendered for everybody."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_accubooks.contract.alert import Severity
from otel_accubooks.stack.ports import LOOPBACK, free_port, http_ok
from otel_accubooks.stack.process import Server
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.alertmanager import PACES, Pace, configuration

# Seconds that the younger of a pair leaves to the older for telling, before it tells itself: above what a
# delivery takes, below the time between two looks at a group (docs/redundancy.md).
PEER_TIMEOUT = 5.0


@dataclass(frozen=True)
class Cluster:
    """How one of several agrees with the others: its own port for that, and theirs."""

    port: int
    peers: tuple[int, ...]
    timeout: float = PEER_TIMEOUT

    def arguments(self) -> list[str]:
        """Alertmanager's flags that say so."""
        return [
            f"--cluster.listen-address={LOOPBACK}:{self.port}",
            f"--cluster.peer-timeout={self.timeout:g}s",
            *(f"--cluster.peer={LOOPBACK}:{port}" for port in self.peers),
        ]


class Alertmanager(Server):
    """An Alertmanager on the loopback address that tells `to`; everything of it is in `folder`.

    Its secrets are where `to.secrets` says (see `write_secrets`). `paces` says how soon what is told.
    `cluster` makes it one of several that tell each thing once; without, it is alone.
    """

    def __init__(
        self,
        folder: Path,
        binary: Path,
        to: Addresses,
        *,
        paces: Mapping[Severity, Pace] = PACES,
        port: int | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self.port = port or free_port()
        self.address = f"{LOOPBACK}:{self.port}"
        self.url = f"http://{self.address}"
        self.config = _write(folder, to, paces)
        super().__init__(
            "Alertmanager",
            [
                *(str(binary), f"--config.file={self.config}"),
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
                *(cluster.arguments() if cluster else ["--cluster.listen-address="]),
            ],
            log=folder / "alertmanager.log",
            ready=lambda: http_ok(f"{self.url}/-/ready"),
        )

    def alerts(self, **labels: str) -> list[dict[str, Any]]:
        """The alerts that it knows with these labels, each with its `status`; ended ones are gone."""
        import httpx

        matchers = [f'{name}="{value}"' for name, value in labels.items()]
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer = client.get(f"{self.url}/api/v2/alerts", params={"filter": matchers})
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def members(self) -> int:
        """How many of its cluster it sees, itself among them; 0 if it is alone or not yet settled.

        Before it is settled it tells nobody of anything.
        """
        import httpx

        with httpx.Client(trust_env=False, timeout=30) as client:
            cluster = client.get(f"{self.url}/api/v2/status").json()["cluster"]
        return len(cluster["peers"]) if cluster["status"] == "ready" else 0

    def tell(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Tells it of alerts as Prometheus does: labels, annotations, startsAt and endsAt of each.

        Raises httpx.HTTPStatusError if it takes them not.
        """
        import httpx

        with httpx.Client(trust_env=False, timeout=30) as client:
            client.post(f"{self.url}/api/v2/alerts", json=alerts).raise_for_status()


def several(
    folder: Path,
    binary: Path,
    to: Addresses,
    *,
    pair: bool,
    paces: Mapping[Severity, Pace] = PACES,
    peer_timeout: float = PEER_TIMEOUT,
    ports: Sequence[int | None] = (None, None),
) -> tuple[Alertmanager, ...]:
    """One that tells `to`, in `folder`; or a pair that tells each thing once, the other in `folder`/second.

    `peer_timeout` is what the second leaves to the first, in seconds, `ports` where they listen.
    """
    if not pair:
        return (Alertmanager(folder, binary, to, paces=paces, port=ports[0]),)
    first, second = free_port(), free_port()
    return (
        Alertmanager(
            folder, binary, to,
            paces=paces, port=ports[0], cluster=Cluster(first, (second,), peer_timeout),
        ),
        Alertmanager(
            folder / "second", binary, to,
            paces=paces, port=ports[1], cluster=Cluster(second, (first,), peer_timeout),
        ),
    )  # fmt: skip


def write_secrets(folder: Path, secrets: Mapping[str, str]) -> None:
    """Writes the content of each secret file, by its name, for us alone (see `Addresses`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in secrets.items():
        opened = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(opened, "w") as file:
            file.write(content)


def _write(folder: Path, to: Addresses, paces: Mapping[Severity, Pace]) -> Path:
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(configuration(to, paces), sort_keys=False))
    return path
