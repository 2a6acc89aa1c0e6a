"""What the wheel and the gateway are made of, as others' tools read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom

from tests.audit.lock import PACKAGE, ROOT, locked
from tests.audit.sbom import GATEWAY, WHEEL, checksums, modules, write

GATEWAY_NAME = "otelcol-accubooks"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sbom")
    write(made)
    return made


def components(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["components"]
    return found


@pytest.mark.parametrize(("name", "whole"), [(WHEEL, "otel-accubooks"), (GATEWAY, GATEWAY_NAME)])
def test_it_is_read_as_it_was_written(folder: Path, name: str, whole: str) -> None:
    """CycloneDX 1.6, of the thing that it is about, which depends on what is in it."""
    text = json.loads((folder / name).read_text())
    assert (text["bomFormat"], text["specVersion"]) == ("CycloneDX", "1.6")
    bom = Bom.from_json(text)
    assert bom.metadata.component.name == whole
    assert len(bom.components) == len(text["components"])


def test_the_wheels_has_every_dependency_by_its_hashes(folder: Path) -> None:
    """Those of the lock, each with a package URL."""
    found = components(folder / WHEEL)
    assert {(one["name"], one["version"]) for one in found} == {
        (one.name, str(one.specifier).removeprefix("==")) for one in locked(PACKAGE)
    }
    for one in found:
        assert one["purl"].startswith(f"pkg:pypi/{one['name']}@{one['version']}")
        hashes = [kept for at in one["externalReferences"] for kept in at.get("hashes", [])]
        assert {kept["alg"] for kept in hashes} == {"SHA-256"}


def test_the_gateways_has_every_module_by_its_checksum(folder: Path) -> None:
    """Those of go.mod, each with what go.sum says of it."""
    known = checksums(ROOT / "collector")
    found = {
        (one["name"], one["version"]): one["properties"][0]["value"]
        for one in components(folder / GATEWAY)
    }
    expected = modules(ROOT / "collector").items()
    assert len(expected) > 100
    assert found == {module: known[module] for module in expected}
