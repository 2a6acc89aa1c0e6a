"""A name or a threshold is stated once: one edit of it reaches every file that is written from it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import otel_accubooks
from otel_accubooks.cli.reference import generated
from otel_accubooks.contract.metrics import METRICS

PACKAGE = Path(otel_accubooks.__file__).parent
_WRITE = """
import json
from otel_accubooks.cli.reference import generated
from otel_accubooks.contract.metrics import BY_NAME
parts = [p for m in BY_NAME.values() if m.ratio for p in (m.ratio.numerator, *m.ratio.denominators)]
assert all(part.metric in BY_NAME for part in parts), "a ratio of what is not there"
print(json.dumps(generated()))
"""
# As a file is called after a metric.
_NAMES = re.compile("|".join(rf"\b{metric.name}\b" for metric in METRICS))

Files = dict[str, str]


def generated_after(folder: Path, file: str, edits: dict[str, str]) -> Files:
    """Every written file, after edits (pattern to replacement) of one place each in the contract."""
    package = folder / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for beside in PACKAGE.parent.iterdir():
        if beside != PACKAGE and not beside.name.startswith("."):
            (folder / beside.name).symlink_to(beside)
    path = package / "contract" / file
    text = path.read_text()
    for pattern, instead in edits.items():
        text, count = re.subn(pattern, instead, text)
        assert count == 1, pattern
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", _WRITE], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files: Files = json.loads(done.stdout)
    return files


@pytest.fixture(scope="module")
def written() -> Files:
    return generated()


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Written after every metric has been given another name, each by one edit."""
    edits = {rf'(= \w+\(\s*)"{m.name}"': rf'\1"renamed_{m.name}"' for m in METRICS}
    return generated_after(tmp_path_factory.mktemp("renamed"), "metrics.py", edits)


@pytest.mark.parametrize("metric", [metric.name for metric in METRICS])
def test_a_renamed_metric_is_renamed_in_every_file(
    metric: str, written: Files, renamed: Files
) -> None:
    """The new name is where the old one was, and the old one is nowhere."""
    old = re.compile(rf"(?<![a-z_]){metric}(?=_bucket|_sum|_count|\b)")
    assert any(map(old.search, written.values()))
    assert {_NAMES.sub(r"renamed_\g<0>", path) for path in written} == renamed.keys()
    for path, text in written.items():
        found = renamed[_NAMES.sub(r"renamed_\g<0>", path)]
        assert not old.search(found), f"{path} still says {metric}"
        assert (f"renamed_{metric}" in found) == bool(old.search(text)), path


def test_a_new_threshold_is_in_every_file(written: Files, tmp_path: Path) -> None:
    """Of DatabasePoolExhaustion, 90 %: in the rules, the runbook and whatever draws it."""
    edit = {r"_above\(_POOL_UTILIZATION, 90\)": "_above(_POOL_UTILIZATION, 93.5)"}
    files = generated_after(tmp_path, "alerts.py", edit)
    changed = {path for path, text in files.items() if text != written[path]}
    runbook = "docs/runbooks/DatabasePoolExhaustion.md"
    assert changed >= {runbook, "rendered/prometheus/rules/accubooks.yml"}
    assert not [path for path in changed if "93.5" not in files[path]]
    old = re.compile(r"db_pool_utilization_percent\W[^\n]*> 90\b")
    assert not [path for path, text in files.items() if old.search(text)]
