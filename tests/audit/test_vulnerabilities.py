"""How the answers of pip-audit and govulncheck are judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pip_audit._dependency_source import RequirementSource

from tests.audit.lock import BUILD, PACKAGE, ROOT, TESTS, locked
from tests.audit.vulnerabilities import (
    NotAskedError,
    Vulnerability,
    accepted,
    in_all_versions,
    judged,
    of_packages,
    of_program,
)

ONE = Vulnerability("GO-2026-0001", "example.com/a v1.0.0")


def test_every_package_of_every_lock_is_asked_about(tmp_path: Path) -> None:
    """As pip-audit reads it, whatever Python it runs on: also those for another one, or another system."""
    locks = (BUILD, PACKAGE, TESTS)
    read: set[tuple[str, str]] = set()
    for text in in_all_versions(locks):
        path = tmp_path / "asked.txt"
        path.write_text(text)
        source = RequirementSource([path], disable_pip=True, no_deps=True)
        read |= {(one.name, str(one.version)) for one in source.collect()}
    assert read == {
        (one.name, str(one.specifier).removeprefix("==")) for lock in locks for one in locked(lock)
    }


def test_without_go_what_is_missing_is_said() -> None:
    """In a line, with the exit status of what could not be asked."""
    nowhere = {"PATH": "", "HTTPS_PROXY": "http://127.0.0.1:9"}
    argv = [sys.executable, "-m", "tests.audit"]
    done = subprocess.run(argv, cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False)
    assert "not asked: govulncheck: there is no Go: install it from" in done.stdout
    assert (done.returncode, done.stderr) == (2, "")


def test_a_package_that_was_passed_over_is_not_clean() -> None:
    """pip-audit ends with 0 where its database answers nothing; that is no proof."""
    skipped = {"name": "flask", "skip_reason": "Dependency not found on PyPI"}
    with pytest.raises(NotAskedError, match=r"did not answer on 1 of 2 packages \(flask"):
        list(of_packages({"dependencies": [skipped, {"name": "a", "version": "1", "vulns": []}]}))


def test_a_vulnerable_package_is_named() -> None:
    """By its id and its version."""
    package = {"name": "flask", "version": "1.0", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
    found = list(of_packages({"dependencies": [package]}))
    assert [one.id for one in found] == ["PYSEC-1", "PYSEC-2"]
    assert {one.where for one in found} == {"flask 1.0"}


def test_only_what_is_linked_is_found_in_a_program() -> None:
    """Once for each id; a module without its vulnerable function is none."""
    module = {"module": "example.com/a", "version": "v1.0.0"}
    linked = {"finding": {"osv": ONE.id, "trace": [{**module, "function": "Parse"}]}}
    idle = {"finding": {"osv": "GO-2026-0002", "trace": [module]}}
    stream = "\n".join(json.dumps(one, indent=1) for one in ({"config": {}}, idle, linked, linked))
    assert list(of_program(f"{stream}\n")) == [ONE]


def test_what_has_a_reason_may_stay() -> None:
    """Without one it is named, and so is a reason for what is no longer found."""
    assert judged([ONE], {ONE.id: "not reached"}) == []
    assert judged([ONE], {}) == ["GO-2026-0001 in example.com/a v1.0.0"]
    assert "GO-2026-0001 is not found any more" in judged([], {ONE.id: "not reached"})[0]


def test_a_reason_is_a_sentence(tmp_path: Path) -> None:
    """An empty one is refused, and those of this repository are read."""
    assert all(accepted().values())
    path = tmp_path / "accepted.toml"
    path.write_text('GO-2026-0001 = " "\n')
    with pytest.raises(ValueError, match="GO-2026-0001 is ' ', expected the reason"):
        accepted(path)
