"""An Alertmanager of our own, with the configuration that is rendered for everybody."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from otel_accubooks.contract.alert import Severity
from otel_accubooks.stack.ports import LOOPBACK, free_port, http_ok
from otel_accubooks.stack.process import Server
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.alertmanager import PACES, Pace, configuration


class Alertmanager(Server):
    """An Alertmanager on the loopback address that tells `to`; everything of it is in `folder`.

    `secrets` has the content of each secret file by its name (see `Addresses`); they are written to
    a folder of ours, whatever `to.secrets` says. `paces` says how soon what is told.
    """

    def __init__(
        self,
        folder: Path,
        binary: Path,
        to: Addresses,
        secrets: Mapping[str, str],
        *,
        paces: Mapping[Severity, Pace] = PACES,
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self.address = f"{LOOPBACK}:{self.port}"
        self.url = f"http://{self.address}"
        self.config = _write(folder, replace(to, secrets=str(folder / "secrets")), secrets, paces)
        super().__init__(
            "Alertmanager",
            [
                *(str(binary), f"--config.file={self.config}"),
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",  # alone: nobody to agree with
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

    def tell(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Tells it of alerts as Prometheus does: labels, annotations, startsAt and endsAt of each.

        Raises httpx.HTTPStatusError if it takes them not.
        """
        import httpx

        with httpx.Client(trust_env=False, timeout=30) as client:
            client.post(f"{self.url}/api/v2/alerts", json=alerts).raise_for_status()


def _write(
    folder: Path, to: Addresses, secrets: Mapping[str, str], paces: Mapping[Severity, Pace]
) -> Path:
    import yaml

    hidden = Path(to.secrets)
    hidden.mkdir(parents=True, exist_ok=True)
    for name, content in secrets.items():
        opened = os.open(hidden / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(opened, "w") as file:
            file.write(content)
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(configuration(to, paces), sort_keys=False))
    return path
