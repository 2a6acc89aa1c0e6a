"""Whether a changed file, a changed module, a known vulnerability would be noticed: each is tried."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from otel_accubooks.stack.binaries import find_collector
from tests.audit import vulnerabilities
from tests.audit.lock import BUILD, PACKAGE, ROOT, TESTS
from tests.audit.sbom import modules, write
from tests.audit.test_lock import locked
from tests.audit.vulnerabilities import NotAskedError
from tests.integration.test_build import build, copy
from tests.reliability import page

PLANTED, MODULE = "GO-0000-0001", "go.opentelemetry.io/collector/component"
_WHEN = "2026-01-01T00:00:00Z"
_HEAD = ["| what was tried | what was seen |", "|---|---|"]


@pytest.mark.timeout(1800)
def test_what_is_not_as_it_should_be_is_noticed(tmp_path: Path) -> None:
    """A changed wheel, a changed module, a vulnerability; and whether two builds are one."""
    seen = {
        "the wheel built of two checkouts, in other folders, of other times": builds(tmp_path),
        "a package whose file is not the locked one": other_file(tmp_path),
        "a Go module whose content is not that of go.sum": other_module(tmp_path),
        f"a vulnerability planted into a database of our own, in `{MODULE}`": planted(tmp_path),
        "the Go modules that the gateway was built of": built_of(),
        "software bills of materials": bills(tmp_path),
        "locks": locks(),
        "PyPI's database of vulnerabilities": asked("python"),
        "Go's database of vulnerabilities": asked("go"),
    }
    page.write("Supply chain", "\n".join([*_HEAD, *(f"| {k} | {v} |" for k, v in seen.items())]))


def builds(folder: Path) -> str:
    checkout = copy(ROOT, folder / "checkout", 0)
    found = set()
    for name, mtime in (("one", 1_600_000_000), ("another/two", 1_700_000_001)):
        wheel, _ = build(folder / f"{name} built", copy(checkout, folder / name, mtime))
        found.add((wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest()))
    ((name, checksum),) = found
    return f"the same bytes: `{name}`, SHA-256 {checksum[:16]}..."


def other_file(folder: Path) -> str:
    """pip is told a hash that no file of the package has."""
    text = PACKAGE.read_text()
    entry = re.search(r"^idna==.*\n(    --hash.*\n)+", text, re.MULTILINE)
    assert entry
    lock = folder / "changed.txt"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, entry[0]))
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    argv += ["--no-cache-dir", "-d", str(folder / "packages"), "-r", str(lock)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    return "refused by pip: the file does not match the hash of the lock"


def other_module(folder: Path) -> str:
    """go.sum has another checksum of a module than the module."""
    copied = folder / "modules"
    copied.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copy(ROOT / "collector" / name, copied)
    lines = (copied / "go.sum").read_text().splitlines()
    module, version, checksum = next(one.split() for one in lines if one.startswith(f"{MODULE} "))
    wrong = checksum[:3] + checksum[3:].swapcase()
    text = (copied / "go.sum").read_text()
    (copied / "go.sum").write_text(text.replace(checksum, wrong))
    argv = ["go", "mod", "download", f"{module}@{version}"]
    done = subprocess.run(argv, cwd=copied, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "checksum mismatch" in done.stderr
    return "refused by Go: checksum mismatch"


def planted(folder: Path) -> str:
    """The gateway is looked through with a database that knows one, and with one that knows none."""
    found = []
    for name, known in (("empty", False), ("planted", True)):
        database = folder / name
        _database(database, known)
        found.append(list(vulnerabilities.go({**os.environ, "GOVULNDB": database.as_uri()})))
    assert not found[0]
    assert {one.id for one in found[1]} == {PLANTED}
    return "found by govulncheck in the gateway; with an empty database nothing is found"


def _database(folder: Path, known: bool) -> None:
    """Files as https://go.dev/doc/security/vuln/database says."""
    version = modules(ROOT / "collector")[MODULE]
    report = {
        "schema_version": "1.3.1", "id": PLANTED, "modified": _WHEN, "published": _WHEN,
        "details": "Planted.",
        "affected": [{
            "package": {"name": MODULE, "ecosystem": "Go"},
            "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
            "ecosystem_specific": {"imports": [{"path": MODULE, "symbols": ["NewID"]}]},
        }],
    }  # fmt: skip
    vulns = [{"id": PLANTED, "modified": _WHEN}] if known else []
    files = {
        "index/db.json": {"modified": _WHEN},
        "index/modules.json": [{"path": MODULE, "vulns": vulns}] if known else [],
        "index/vulns.json": vulns,
        f"ID/{PLANTED}.json": report | {"summary": f"of {version}"},
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def built_of() -> str:
    """What the program itself says, against go.mod."""
    argv = ["go", "version", "-m", str(find_collector())]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    linked = set(re.findall(r"^\tdep\t(\S+)\t(\S+)", said, re.MULTILINE))
    assert linked <= set(modules(ROOT / "collector").items())
    verified = subprocess.run(
        ["go", "mod", "verify"], cwd=ROOT / "collector", capture_output=True, text=True, check=True
    )
    return f"{len(linked)}, each in the version of go.mod; {verified.stdout.strip()}"


def bills(folder: Path) -> str:
    """How much is in which."""
    counts = [
        f"`{path.name}` with {len(json.loads(path.read_text())['components'])} components"
        for path in write(folder / "sbom")
    ]
    return " and ".join(counts)


def locks() -> str:
    """How much is locked by which."""
    return ", ".join(
        f"`{one.relative_to(ROOT)}` has {len(locked(one))}" for one in (TESTS, PACKAGE, BUILD)
    )


def asked(what: str) -> str:
    """What the database says now; that it was not reached is no finding, and is said."""
    try:
        found = list({"python": vulnerabilities.python, "go": vulnerabilities.go}[what]())
    except NotAskedError as error:
        return f"**not reached from this machine**: {error}"
    assert {one.id for one in found} <= vulnerabilities.accepted().keys()
    return f"{len(found)} known vulnerabilities, each accepted with a reason"
