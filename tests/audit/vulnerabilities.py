"""Asks the databases of known vulnerabilities about everything that lock/ and the Go modules name.

What could not be asked about is a failure of its own: pip-audit passes over it, and ends well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from otel_accubooks.stack.binaries import find_collector, find_prometheus3
from tests.audit.lock import BUILD, PACKAGE, TESTS, locked

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ACCEPTED = Path(__file__).with_name("accepted.toml")
GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"  # go.sum's database vouches for it
_LAST_LINES = 3


@dataclass(frozen=True)
class Vulnerability:
    """One that a database knows: its `id`, and in which package of which version it is."""

    id: str
    where: str


class NotAskedError(Exception):
    """The database did not answer, or not on everything."""


def python(locks: Iterable[Path] = (BUILD, PACKAGE, TESTS)) -> Iterator[Vulnerability]:
    """Of the packages in `locks`, by PyPI's own database. Raises NotAskedError."""
    argv = [sys.executable, "-m", "pip_audit", "--vulnerability-service", "pypi", "--disable-pip"]
    argv += ["--no-deps", "--format", "json", "--progress-spinner", "off", "--requirement"]
    with TemporaryDirectory() as folder:
        path = Path(folder, "asked.txt")
        for text in in_all_versions(locks):
            path.write_text(text)
            done = subprocess.run([*argv, str(path)], capture_output=True, text=True, check=False)
            try:
                answer = json.loads(done.stdout)
            except ValueError:
                raise NotAskedError(f"pip-audit: {_end(done.stderr)}") from None
            yield from of_packages(answer)


def in_all_versions(locks: Iterable[Path]) -> Iterator[str]:
    """The packages of `locks` as texts of requirements, each name once in a text, without markers.

    Of a lock itself pip-audit passes over what is for another Python, and says nothing of it.
    """
    versions: dict[str, set[str]] = {}
    for lock in locks:
        for one in locked(lock):
            versions.setdefault(one.name, set()).add(f"{one.name}{one.specifier}")
    for row in zip_longest(*map(sorted, versions.values())):
        yield "\n".join(filter(None, row))


def of_packages(answer: Mapping[str, Any]) -> Iterator[Vulnerability]:
    """What pip-audit's JSON names. Raises NotAskedError where it passed over a package."""
    skipped = [one["name"] for one in answer["dependencies"] if "skip_reason" in one]
    if skipped:
        first = ", ".join(skipped[:_LAST_LINES])
        raise NotAskedError(
            f"pip-audit: PyPI's database did not answer on {len(skipped)} of "
            f"{len(answer['dependencies'])} packages ({first}, ...): run it where pypi.org/pypi is reached"
        )
    for package in answer["dependencies"]:
        for one in package["vulns"]:
            yield Vulnerability(one["id"], f"{package['name']} {package['version']}")


def go(environ: Mapping[str, str] = os.environ) -> Iterator[Vulnerability]:
    """Of what the programs that we build call. GOVULNDB names another database. Raises NotAskedError."""
    if shutil.which("go") is None:
        raise NotAskedError("govulncheck: there is no Go: install it from https://go.dev/dl/")
    for program in (find_collector(), find_prometheus3()):
        argv = ["go", "run", GOVULNCHECK, "-mode=binary", "-format=json"]
        if database := environ.get("GOVULNDB"):
            argv += ["-db", database]
        done = subprocess.run(
            [*argv, str(program)], capture_output=True, text=True, check=False, env=dict(environ)
        )
        if done.returncode:
            raise NotAskedError(f"govulncheck of {program.name}: {_end(done.stderr)}")
        yield from of_program(done.stdout)


def of_program(answer: str) -> Iterator[Vulnerability]:
    """What govulncheck's stream of JSON objects finds in code that is linked."""
    decoder, at, seen = json.JSONDecoder(), 0, set()
    while (at := len(answer) - len(answer[at:].lstrip())) < len(answer):
        said, at = decoder.raw_decode(answer, at)
        found = said.get("finding")
        # Without a function it is known only that the module is there, not its vulnerable part.
        if found and found["trace"][0].get("function") and found["osv"] not in seen:
            seen.add(found["osv"])
            module = found["trace"][0]
            yield Vulnerability(found["osv"], f"{module['module']} {module['version']}")


def accepted(path: Path = ACCEPTED) -> dict[str, str]:
    """The reasons by the ids of what may stay. Raises ValueError for one without a reason."""
    with path.open("rb") as file:
        reasons: dict[str, str] = tomllib.load(file)
    for name, reason in reasons.items():
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(f"{path.name}: {name} is {reason!r}, expected the reason why it stays")
    return reasons


def judged(found: Iterable[Vulnerability], reasons: Mapping[str, str]) -> list[str]:
    """What is wrong, a line each: vulnerabilities without a reason, and reasons without one."""
    there = list(found)
    wrong = [f"{one.id} in {one.where}" for one in there if one.id not in reasons]
    old = reasons.keys() - {one.id for one in there}
    return wrong + [
        f"{ACCEPTED.name}: {name} is not found any more: remove it" for name in sorted(old)
    ]


def _end(text: str) -> str:
    return " ".join(text.strip().splitlines()[-_LAST_LINES:]) or "it said nothing"
