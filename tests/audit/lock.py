"""Writes lock/*.txt: each package by its version and by the hashes of its files, for every Python.

    python -m tests.audit.lock              what changed in the requirements
    python -m tests.audit.lock --upgrade    the newest of everything

`pip install --require-hashes -r lock/tests.txt` then installs these files or none.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "lock"
BUILD, PACKAGE, TESTS = LOCK / "build.txt", LOCK / "package.txt", LOCK / "tests.txt"
OLDEST = "3.10"
EDITABLE = "editables"  # what hatchling asks for beside them, for an editable install

_ENTRY = re.compile(
    r"^(?!#)(\S.*?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def locked(lock: Path) -> list[Requirement]:
    """The packages of a lock that have hashes, each with == and its markers."""
    return [Requirement(entry) for entry, _ in _ENTRY.findall(lock.read_text())]


def build_requirements() -> list[str]:
    """What builds the wheel, as pyproject.toml says."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        required: list[str] = tomllib.load(file)["build-system"]["requires"]
    return required


def write(upgrade: bool) -> None:
    """Writes all three. Raises CalledProcessError if the requirements cannot be met together."""
    more = ["--upgrade"] if upgrade else []
    # This package itself is built of this checkout: it has no hash.
    _compile(TESTS, "requirements-dev.txt", *more, "--no-emit-package", "otel-accubooks")
    _compile(PACKAGE, "pyproject.toml", "--constraint", str(TESTS))
    text = "\n".join([*build_requirements(), EDITABLE])
    _compile(BUILD, "-", "--constraint", str(TESTS), text=text)


def _compile(lock: Path, source: str, *options: str, text: str = "") -> None:
    argv = [sys.executable, "-m", "uv", "pip", "compile", source, "--output-file", str(lock)]
    argv += ["--universal", "--python-version", OLDEST, "--generate-hashes", "--quiet"]
    argv += ["--custom-compile-command", "python -m tests.audit.lock", *options]
    subprocess.run(argv, cwd=ROOT, input=text, text=True, check=True)


if __name__ == "__main__":
    write(upgrade="--upgrade" in sys.argv[1:])
