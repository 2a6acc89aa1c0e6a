"""Writes what the wheel and the gateway are made of, as CycloneDX.

    python -m tests.audit.sbom FOLDER

The wheel's dependencies are those of lock/package.txt, with the hashes of their files; the gateway's
modules those of collector/go.mod, with their checksums of collector/go.sum.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tests.audit.lock import PACKAGE, ROOT

WHEEL, GATEWAY = "otel-accubooks.cdx.json", "otelcol-accubooks.cdx.json"
_REQUIRED = re.compile(r"^(?:require )?\t?(\S+) (v\S+?)(?: // indirect)?$", re.MULTILINE)


def write(folder: Path) -> list[Path]:
    """Writes both into `folder`; the same source gives the same files, but for number and time."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel, gateway = folder / WHEEL, folder / GATEWAY
    argv = [sys.executable, "-m", "cyclonedx_py", "requirements", str(PACKAGE)]
    argv += ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "library"]
    argv += ["--output-reproducible", "--no-validate", "--output-file", str(wheel)]
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
    gateway.write_text(JsonV1Dot6(_gateway(ROOT / "collector")).output_as_string(indent=2))
    return [wheel, gateway]


def modules(folder: Path) -> dict[str, str]:
    """The Go modules of go.mod in `folder`, and the version of each."""
    return dict(_REQUIRED.findall((folder / "go.mod").read_text()))


def checksums(folder: Path) -> dict[tuple[str, str], str]:
    """The checksum of each module and version by go.sum in `folder`."""
    lines = (line.split() for line in (folder / "go.sum").read_text().splitlines())
    return {(name, version): checksum for name, version, checksum in lines}


def _gateway(folder: Path) -> Bom:
    known = checksums(folder)
    parts = [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{name}@{version}",
            purl=PackageURL("golang", *_split(name), version=version),
            properties=[Property(name="go:checksum", value=known[name, version])],
        )
        for name, version in sorted(modules(folder).items())
    ]
    whole = Component(name="otelcol-accubooks", type=ComponentType.APPLICATION)
    made = Bom(components=parts)
    made.metadata.component = whole
    made.register_dependency(whole, parts)
    return made


def _split(name: str) -> tuple[str, str]:
    namespace, _, last = name.rpartition("/")
    return namespace, last


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(path)
