"""The report: Markdown and JSON that say the same, and nothing that is written over."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import get_args

from otel_accubooks.contract.checklist import ALL, LookName
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.report import Files, contents, markdown
from otel_accubooks.verify.verification import Seen, Verification

BEGAN = datetime(2026, 11, 23, 2, 0, 5, tzinfo=timezone.utc)
BOXES = [box for group in ALL for box in group.boxes]
NAMES: tuple[LookName, ...] = get_args(LookName)


def verification(*others: Seen) -> Verification:
    """One in which all has passed but `others`."""
    given = {seen.look.name for seen in others}
    passed = [Seen(Look(n, "passed", "well", ("as read",))) for n in NAMES if n not in given]
    return Verification("prometheus", "accubooks", "Ada", BEGAN, [*others, *passed], BEGAN)


def boxes(text: str) -> dict[str, bool]:
    """Every box of a Markdown text, and whether it is checked."""
    return {told: mark == "x" for mark, told in re.findall(r"^- \[(.)\] (.*)$", text, re.M)}


def test_success_has_every_box_checked_and_one_decision() -> None:
    """The template's sections, the twelve, operator, signature and timestamp."""
    text = markdown(contents(verification()))
    assert boxes(text) == {
        **{box.text: True for box in BOXES},
        "SUCCESS - Proceed to Phase 3 (Controlled Beta)": True,
        "INCOMPLETE - Fix issues and retry": False,
    }
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings == [
        "Metrics Verification",
        "Dashboard Verification",
        "Alert Verification",
        "State of the System",
        "The twelve checks",
        "Decision",
        "Evidence",
    ]
    assert "**Implementation Date**: 2026-11-23T02:00:05Z\n**Operator**: Ada\n" in text
    assert text.endswith(
        "**Signature**: ____________________ (Ada)\n**Timestamp**: 2026-11-23T02:00:05Z\n"
    )
    assert "as read" in text


def test_incomplete_says_what_is_missing() -> None:
    """The box is not checked, its look stands beside it, and the decision is the other one."""
    look = Look("retention", "failed", "retention is 15d, expected 30d: raise it")
    found = boxes(text := markdown(contents(verification(Seen(look)))))
    assert not found["Metrics retention is at least 30 days"]
    assert not found["SUCCESS - Proceed to Phase 3 (Controlled Beta)"]
    assert found["INCOMPLETE - Fix issues and retry"]
    assert "  - retention: **failed**, retention is 15d, expected 30d: raise it" in text
    assert "## What is missing\n\n- retention: retention is 15d" in text


def test_what_a_person_confirmed_is_told_as_such() -> None:
    """By name, and never as something that was seen."""
    look = Look("channel phone", "unseen", "did it ring?")
    content = contents(verification(Seen(look, confirmed=True)))
    assert content["decision"] == "SUCCESS"
    assert "**not seen, confirmed by Ada**, did it ring?" in markdown(content)
    assert "did it ring?" in json.dumps(content)


def test_the_twin_has_the_same_content(tmp_path: Path) -> None:
    """The Markdown is made of what the JSON holds, to the last letter."""
    files = Files(tmp_path, BEGAN)
    files.write(verification())
    assert files.markdown.name == "monitoring_setup_verification_20261123T020005Z.md"
    assert markdown(json.loads(files.json.read_text())) == files.markdown.read_text()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """Two of the same second are two reports."""
    first, second = Files(tmp_path, BEGAN), Files(tmp_path, BEGAN)
    first.write(verification())
    second.write(verification(Seen(Look("pair", "failed", "alone"))))
    assert first.markdown != second.markdown
    assert "[x] SUCCESS" in first.markdown.read_text()
    assert "[ ] SUCCESS" in second.markdown.read_text()


def test_one_that_never_ended_is_incomplete(tmp_path: Path) -> None:
    """Whoever is killed in between leaves no success behind."""
    files = Files(tmp_path / "new" / "folder", BEGAN)
    assert "[x] INCOMPLETE" in files.markdown.read_text()
    assert json.loads(files.json.read_text())["decision"] == "INCOMPLETE"
