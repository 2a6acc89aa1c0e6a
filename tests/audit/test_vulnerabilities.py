"""How the answers of pip-audit and govulncheck are judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.audit.vulnerabilities import (
    NotAskedError,
    Vulnerability,
    accepted,
    judged,
    of_packages,
    of_program,
)

ONE = Vulnerability("GO-2026-0001", "example.com/a v1.0.0")


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
