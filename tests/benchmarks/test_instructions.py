"""The gate on instruction counts: what a request adds must not grow unseen."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import pytest

from tests.benchmarks import gate

# A regression is there in every process; what happens by the clock, or by where things lie, is not.
ATTEMPTS = 4

FOUND = gate.Found(
    "compiled",
    added=dict.fromkeys(gate.ROUTES, 24_000.0),
    yardsticks=dict.fromkeys(gate.ROUTES, 100.0),
)


@pytest.mark.timeout(900)
def test_a_request_adds_no_more_than_is_stated(tmp_path: Path) -> None:
    """Counted here and now, with each recorder: at most a twentieth above instructions.toml."""
    tmp_path.chmod(0o755)
    counts = gate.Counts()
    for attempt in range(ATTEMPTS):
        work = tmp_path / str(attempt)
        work.mkdir(mode=0o755)
        found = counts.more(work, gate.PROCESSES // 2)
        faults = [line for one in found for line in gate.too_much(one, gate.stated(one.recorder))]
        if not faults:
            break
    for one in found:
        for line in gate.cheaper(one, gate.stated(one.recorder)):
            warnings.warn(line, stacklevel=1)
    assert faults == []


def test_more_than_a_twentieth_above_is_too_much() -> None:
    """One line for the route that grew, with what it grew by and what to do."""
    stated = dict.fromkeys(gate.ROUTES, 100.0)
    grown = dataclasses.replace(FOUND, yardsticks={**FOUND.yardsticks, "db": 105.2})
    (line,) = gate.too_much(grown, stated)
    assert line.startswith("/db adds 24,000 instructions with the compiled recorder")
    assert "+5.2%" in line
    assert gate.WRITE in line


def test_a_twentieth_is_allowed() -> None:
    """What builds and versions differ by is no regression."""
    stated = dict.fromkeys(gate.ROUTES, 100.0)
    near = dataclasses.replace(FOUND, yardsticks=dict.fromkeys(gate.ROUTES, 104.8))
    assert gate.too_much(near, stated) == []
    assert gate.cheaper(near, stated) == []


def test_what_became_cheaper_is_to_be_stated() -> None:
    """It is no fault, but the gain would be lost again without a word."""
    stated = dict.fromkeys(gate.ROUTES, 100.0)
    less = dataclasses.replace(FOUND, yardsticks={**FOUND.yardsticks, "mix": 80.0})
    assert gate.too_much(less, stated) == []
    (line,) = gate.cheaper(less, stated)
    assert "/mix" in line
    assert "-20.0%" in line


def test_without_a_statement_the_limits_hold() -> None:
    """A version of Python that nobody stated figures for is held to the absolute ones."""
    assert gate.too_much(FOUND, None) == []
    above = dataclasses.replace(FOUND, added={**FOUND.added, "plain": 25_001.0})
    assert gate.too_much(dataclasses.replace(above, recorder="plain"), None) == []
    (line,) = gate.too_much(above, None)
    assert "/plain adds 25,001 instructions" in line
    assert "25,000" in line


def test_stated_figures_of_other_versions_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing the figures of one version and recorder leaves those of others as they are."""
    file = tmp_path / "instructions.toml"
    file.write_text('["3.9".plain]\nplain = 1.0\ndb = 2.0\nmix = 3.0\ncounted = 4.0\n')
    monkeypatch.setattr(gate, "STATED", file)
    gate.write([FOUND])
    assert gate.stated("plain", "3.9") == {"plain": 1.0, "db": 2.0, "mix": 3.0, "counted": 4.0}
    assert gate.stated("compiled") == FOUND.yardsticks
    assert gate.stated("plain") is None
