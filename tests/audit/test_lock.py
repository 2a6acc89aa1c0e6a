"""lock/*.txt against what pyproject.toml and requirements-dev.txt ask for."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.audit.lock import BUILD, PACKAGE, ROOT, TESTS, build_requirements, locked

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
_NAME = re.compile(r"^(?!#)\S", re.MULTILINE)


def asked(lock: Path) -> list[Requirement]:
    """What the lock has to have."""
    texts = list(PROJECT["dependencies"])
    if lock == BUILD:
        texts = build_requirements()
    if lock == TESTS:
        lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
        texts += [line for line in lines if line and line[0] not in "#-"] + build_requirements()
        for extra in ("cli", "stack", "dashboards", "example", "celery"):
            texts += PROJECT["optional-dependencies"][extra]
    found = [Requirement(text) for text in texts]
    return [one for one in found if one.name != PROJECT["name"]]


def environment(python: str) -> dict[str, str]:
    return {"python_version": python, "python_full_version": f"{python}.9"}


@pytest.mark.parametrize("lock", [BUILD, PACKAGE, TESTS], ids=lambda lock: lock.stem)
def test_every_package_of_a_lock_has_a_version_and_hashes(lock: Path) -> None:
    """Nothing in it is a range, an address or a name alone."""
    found = locked(lock)
    assert len(found) == len(_NAME.findall(lock.read_text()))
    assert all(str(one.specifier).startswith("==") and one.url is None for one in found)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", [BUILD, PACKAGE, TESTS], ids=lambda lock: lock.stem)
def test_a_lock_has_what_is_asked_for(lock: Path, python: str) -> None:
    """On every Python each requirement is met by one version; else run python -m tests.audit.lock."""
    there: dict[str, Version] = {}
    for one in locked(lock):
        if one.marker is None or one.marker.evaluate(environment(python)):
            assert one.name not in there, f"{one.name} is there twice"
            there[one.name.lower()] = Version(str(one.specifier).removeprefix("=="))
    for one in asked(lock):
        if one.marker is None or one.marker.evaluate(environment(python)):
            assert one.specifier.contains(there[one.name.lower()], prereleases=True), one


def test_locks_agree() -> None:
    """What is released and what builds it is what was tested."""
    tested = {(one.name, str(one.specifier)) for one in locked(TESTS)}
    released = locked(PACKAGE) + locked(BUILD)
    assert {(one.name, str(one.specifier)) for one in released} <= tested
