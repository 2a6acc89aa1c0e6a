"""Official releases: downloaded from GitHub, and checked against the checksums published there."""

from __future__ import annotations

import hashlib
import platform
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

GITHUB = "https://github.com"
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0


class ReleaseError(RuntimeError):
    """The release could not be had, or is not what was published: the message says which."""


@dataclass(frozen=True)
class Release:
    """One program in one archive of one release; `base` is the URL of the release's folder."""

    base: str
    archive: str
    checksums: str
    member: str

    def download(self, target: Path) -> None:
        """Write the program to `target`. Raises ReleaseError; gives up connecting after 5 s."""
        import httpx

        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        packed = target.with_name("archive.tar.gz")
        try:
            with httpx.Client(timeout=timeout, follow_redirects=True) as client:
                expected = self._expected(client.get(f"{self.base}/{self.checksums}"))
                with client.stream("GET", f"{self.base}/{self.archive}") as answer:
                    answer.raise_for_status()
                    actual = hashlib.sha256()
                    with packed.open("wb") as file:
                        for chunk in answer.iter_bytes():
                            actual.update(chunk)
                            file.write(chunk)
        except httpx.HTTPError as error:
            raise ReleaseError(f"{self.base} cannot be had: {error}") from error
        if actual.hexdigest() != expected:
            raise ReleaseError(
                f"{self.archive} has the checksum {actual.hexdigest()}, published is {expected}: "
                "it is not used"
            )
        self._unpack(packed, target)

    def _expected(self, answer: httpx.Response) -> str:
        answer.raise_for_status()
        for line in answer.text.splitlines():
            checksum, _, name = line.partition(" ")
            if name.strip().lstrip("*") == self.archive:
                return checksum
        raise ReleaseError(f"{self.base}/{self.checksums} has no checksum of {self.archive}")

    def _unpack(self, packed: Path, target: Path) -> None:
        try:
            with tarfile.open(packed) as archive:
                member = archive.extractfile(self.member)
                if member is None:
                    raise KeyError(self.member)
                target.write_bytes(member.read())
        except (tarfile.TarError, KeyError) as error:
            raise ReleaseError(f"{self.archive} has no program {self.member}: {error}") from error


def collector_release(version: str, host: str = GITHUB) -> Release:
    """The official contrib distribution of this version for this platform."""
    repository = f"{host}/open-telemetry/opentelemetry-collector-releases"
    return Release(
        base=f"{repository}/releases/download/v{version}",
        archive=f"otelcol-contrib_{version}_{sys.platform}_{go_architecture()}.tar.gz",
        checksums="opentelemetry-collector-releases_otelcol-contrib_checksums.txt",
        member="otelcol-contrib",
    )


def prometheus_release(version: str, host: str = GITHUB) -> Release:
    """The official Prometheus of this version for this platform."""
    name = f"prometheus-{version}.{sys.platform}-{go_architecture()}"
    return Release(
        base=f"{host}/prometheus/prometheus/releases/download/v{version}",
        archive=f"{name}.tar.gz",
        checksums="sha256sums.txt",
        member=f"{name}/prometheus",
    )


def go_architecture() -> str:
    """This machine's architecture as Go names it, e.g. amd64."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
