"""The report: Markdown for people, JSON for machines."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from otel_accubooks.servers.passwords import without_passwords
from otel_accubooks.soak.baseline import Usual, summary
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.found import Finding, Section, Table, moment
from otel_accubooks.soak.limits import Limits
from otel_accubooks.soak.suggestion import RULE

Verdict = Literal["STABLE", "NOT STABLE", "UNFINISHED"]

_BOXES = {"passed": "[x]", "failed": "[ ] **failed:**", "unseen": "[ ] not seen:"}


@dataclass(frozen=True)
class Report:
    """What a soak saw between two moments of Prometheus's clock, of the `asked` seconds.

    `runs_since` is when that Prometheus was started, as it writes it.
    """

    prometheus: str
    runs_since: str
    services: tuple[str, ...]
    asked: float
    start: float
    end: float
    watched: bool
    limits: Limits
    sections: tuple[Section, ...]
    baseline: tuple[Usual, ...]

    def findings(self, state: str) -> list[Finding]:
        """All findings of one state."""
        return [one for section in self.sections for one in section.findings if one.state == state]

    @property
    def finished(self) -> bool:
        """False of a soak that was ended early."""
        return self.end - self.start >= self.asked - 1

    @property
    def verdict(self) -> Verdict:
        """STABLE only where nothing failed in all of the time that was asked for."""
        if self.findings("failed"):
            return "NOT STABLE"
        return "STABLE" if self.finished else "UNFINISHED"

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        seen = spoken(self.end - self.start)
        failed, unseen = len(self.findings("failed")), len(self.findings("unseen"))
        of = "" if self.finished else f" of the {spoken(self.asked)} that were asked for"
        return f"{self.verdict}: {seen}{of}, {failed} failed, {unseen} could not be seen"


def make(folder: Path) -> None:
    """Makes the folder of the reports, and tries whether it takes files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def write(report: Report, folder: Path) -> Path:
    """Writes stability_<UTC>.md and its JSON twin; the path of the former. Raises OSError."""
    written = datetime.fromtimestamp(report.end, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"stability_{written}.md"
    path.write_text(without_passwords(markdown(report)), "utf-8")
    path.with_suffix(".json").write_text(without_passwords(as_json(report)), "utf-8")
    return path


def as_json(report: Report) -> str:
    """The same for machines: what the dataclasses have, and the verdict."""
    content = {"verdict": report.verdict, "headline": report.headline, **dataclasses.asdict(report)}
    return json.dumps(_finite(content), indent=1) + "\n"


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown(report: Report) -> str:
    """The same for people."""
    lines = [f"# Stability: {report.verdict}", "", report.headline + ".", ""]
    lines += _table(Table(("what", ""), tuple(_circumstances(report))))
    for title, state in (("Why it is not stable", "failed"), ("Could not be seen", "unseen")):
        if found := report.findings(state):
            lines += [f"## {title}", "", *(f"- {one.said}" for one in found), ""]
    for section in report.sections:
        lines += [f"## {section.name}", ""]
        lines += [f"- {_BOXES[one.state]} {one.said}" for one in section.findings]
        lines += [""]
        if section.table and section.table.rows:
            lines += _table(section.table)
        for note in section.notes:
            lines += [note, ""]
    lines += _baseline(report) + _limits(report.limits)
    return "\n".join(lines)


def _circumstances(report: Report) -> list[tuple[str, str]]:
    how = "watched meanwhile" if report.watched else "looked at afterwards, in what Prometheus kept"
    return [
        ("services", ", ".join(report.services) or "none was heard"),
        ("from", moment(report.start)),
        ("to", moment(report.end)),
        ("length", f"{spoken(report.end - report.start)} of {spoken(report.asked)}"),
        ("Prometheus", f"{report.prometheus}, whose clock all times are of"),
        ("it runs since", report.runs_since),
        ("how", how),
    ]


def _baseline(report: Report) -> list[str]:
    lines = ["## Baseline", "", RULE, ""]
    if not report.baseline:
        return [*lines, "Nothing was seen of what alerts compare with a number.", ""]
    columns = (
        "alert", "of", "threshold", "values", "median", "p95", "p99", "nearest", "held",
        "threshold / nearest", "suggestion",
    )  # fmt: skip
    lines += _table(Table(columns, tuple(summary(one) for one in report.baseline)))
    lines += [
        "Of alerts that look for less than their threshold, p5 and p1 stand under p95 and p99. *Nearest* "
        "is the value that came closest to the threshold, *held* the one that lasted as long as the "
        "alert waits.",
        "",
    ]
    for one in report.baseline:
        if one.suggestion.advice not in ("keep", "too little"):
            value = one.suggestion.value
            change = f": {one.threshold:g} to {value:g} in `{one.where}`" if value else ""
            lines.append(
                f"- {one.alert} ({one.group}){change}. {one.suggestion.reason.capitalize()}."
            )
    few = {
        one.suggestion.reason for one in report.baseline if one.suggestion.advice == "too little"
    }
    if few:
        lines.append(f"- Too little was seen for some to suggest anything: {min(few)}.")
    return [*lines, ""]


def _limits(limits: Limits) -> list[str]:
    rows = [
        (field.name, f"{getattr(limits, field.name):g}", field.metadata["means"])
        for field in dataclasses.fields(limits)
    ]
    return [
        "## What the verdict is measured by",
        "",
        *_table(Table(("limit", "", "means"), tuple(rows))),
    ]


def _table(table: Table) -> list[str]:
    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return [line(table.columns), "|---" * len(table.columns) + "|", *map(line, table.rows), ""]
