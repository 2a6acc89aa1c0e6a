"""The report of a verification: one structure, written as Markdown for people and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from otel_accubooks.contract.checklist import REPORT, TWELVE, Box, Boxes
from otel_accubooks.verify.verification import Seen, Verification

_TITLE = "# Monitoring Setup Verification Report"
SUCCESS = "SUCCESS - Proceed to Phase 3 (Controlled Beta)"
INCOMPLETE = "INCOMPLETE - Fix issues and retry"
_RUNNING = f"{_TITLE}\n\nThe verification has not come to its end.\n\n- [ ] {SUCCESS}\n- [x] {INCOMPLETE}\n"
_EVIDENCE_SHOWN = 60


class Files:
    """The two files of a report, named after the moment at which it began.

    They are there from the start, as INCOMPLETE, so that nobody finds at the end that they cannot be
    written. Raises OSError where they cannot.
    """

    def __init__(self, folder: Path, began: datetime) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"monitoring_setup_verification_{began:%Y%m%dT%H%M%SZ}"
        number = 1
        while True:
            stem = name if number == 1 else f"{name}_{number}"
            self.markdown, self.json = folder / f"{stem}.md", folder / f"{stem}.json"
            number += 1
            # Whoever made the first of the two has both: nothing is ever written over.
            if self.json.exists() or not _made(self.markdown):
                continue
            _replace(self.markdown, _RUNNING)
            _replace(self.json, _json({"decision": "INCOMPLETE", "interrupted": True}))
            return

    def write(self, verification: Verification) -> None:
        """Puts the report in place. Raises OSError."""
        content = contents(verification)
        _replace(self.json, _json(content))
        _replace(self.markdown, markdown(content))


def _made(path: Path) -> bool:
    try:
        with path.open("x"):
            return True
    except FileExistsError:
        return False


def _replace(path: Path, text: str) -> None:
    """At once: whoever reads it finds all of the one or all of the other."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, "utf-8")
    os.replace(new, path)


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def contents(verification: Verification) -> dict[str, Any]:
    """The report as plain data: what the JSON has, and all that the Markdown is made of."""
    ended = verification.ended or verification.began
    return {
        "decision": "SUCCESS" if verification.success else "INCOMPLETE",
        "implementation_date": _time(verification.began),
        "timestamp": _time(ended),
        "operator": verification.operator,
        "signature": "",
        "backend": verification.backend,
        "service": verification.service,
        "interrupted": verification.interrupted,
        "sections": [_section(boxes, verification) for boxes in (TWELVE, *REPORT)],
        "wrong": verification.wrong,
    }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _section(boxes: Boxes, verification: Verification) -> dict[str, Any]:
    return {
        "title": boxes.title,
        "boxes": [_box(box, verification) for box in boxes.boxes],
    }


def _box(box: Box, verification: Verification) -> dict[str, Any]:
    missing = verification.missing(box)
    return {
        "text": box.told(verification.backend),
        "checked": not missing,
        "missing": missing,
        "looks": [_look(seen, verification.operator) for seen in verification.of(box)],
    }


def _look(seen: Seen, operator: str) -> dict[str, Any]:
    look = seen.look
    return {
        "name": look.name,
        "state": look.state,
        "confirmed_by": operator if seen.confirmed else None,
        "said": look.said,
        "evidence": list(look.evidence),
    }


def markdown(content: dict[str, Any]) -> str:
    """The report for people; `content` is what `contents` gives."""
    return "\n".join(_lines(content)) + "\n"


def _lines(content: dict[str, Any]) -> Iterator[str]:
    success = content["decision"] == "SUCCESS"
    yield from (
        _TITLE,
        "",
        f"**Implementation Date**: {content['implementation_date']}",
        f"**Operator**: {content['operator']}",
        f"**Backend**: {content['backend']}",
        f"**Service**: {content['service'] or 'the only one there'}",
    )
    if content["interrupted"]:
        yield from (
            "",
            "The verification was interrupted: what follows is what was seen until then.",
        )
    twelve, *sections = content["sections"]
    for section in [*sections, twelve]:
        yield from ("", f"## {section['title']}", "")
        for box in section["boxes"]:
            yield from _box_lines(box, with_looks=section is twelve)
    yield from ("", "## Decision", "")
    yield f"- [{'x' if success else ' '}] {SUCCESS}"
    yield f"- [{' ' if success else 'x'}] {INCOMPLETE}"
    if content["wrong"]:
        yield from (
            "",
            "## What is missing",
            "",
            *(f"- {_text(line)}" for line in content["wrong"]),
        )
    yield from ("", "## Evidence", "")
    for look in _looks(content):
        yield from _look_lines(look)
    yield from (
        "",
        f"**Signature**: ____________________ ({content['operator']})",
        f"**Timestamp**: {content['timestamp']}",
    )


def _box_lines(box: dict[str, Any], *, with_looks: bool) -> Iterator[str]:
    yield f"- [{'x' if box['checked'] else ' '}] {box['text']}"
    if with_looks or not box["checked"]:
        for look in box["looks"]:
            yield f"  - {look['name']}: **{_state(look)}**, {_text(look['said'])}"
        for line in box["missing"]:
            if line.endswith(": nobody looked"):
                yield f"  - {line}"


def _state(look: dict[str, Any]) -> str:
    if look["confirmed_by"]:
        return f"not seen, confirmed by {look['confirmed_by']}"
    return "not seen" if look["state"] == "unseen" else str(look["state"])


def _looks(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Every look once, in the order of the boxes."""
    found: dict[int, dict[str, Any]] = {}
    for section in content["sections"]:
        for box in section["boxes"]:
            for look in box["looks"]:
                found.setdefault(hash(json.dumps(look, sort_keys=True)), look)
    return list(found.values())


def _look_lines(look: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {look['name']}: {_state(look)}", "", _text(look["said"]), "")
    if look["evidence"]:
        shown = look["evidence"][:_EVIDENCE_SHOWN]
        more = len(look["evidence"]) - len(shown)
        yield from ("```text", *(line.replace("```", "'''") for line in shown))
        if more:
            yield f"... and {more} lines more, in the JSON beside this file"
        yield from ("```", "")


def _text(line: str) -> str:
    """On one line, and nothing that Markdown would take for markup of a list or of HTML."""
    return " ".join(line.split()).replace("<", "&lt;")
