"""`otel-accubooks doctor`: what is wrong with a deployment, and the fix."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import nullcontext

from rich.console import Console
from rich.markup import escape

from otel_accubooks.cli.screen import screen, spinner
from otel_accubooks.doctor.examination import Report, examine
from otel_accubooks.doctor.finding import SEVERITIES, Finding
from otel_accubooks.servers.passwords import without_passwords
from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses

_COLOURS = {"wrong": "red", "suspicious": "yellow", "note": "cyan"}


def run(
    servers: Servers,
    to: Addresses | None = None,
    *,
    pids: Sequence[int] = (),
    as_json: bool = False,
    wait_seconds: float = 30.0,
) -> int:
    """Examines the deployment, and says what is wrong: 0 if that is nothing but notes, else 1.

    `to` knows the application's public address, where there is one. `wait_seconds` are given to what
    was sent to arrive.
    """
    with nullcontext(_nothing) if as_json else spinner(screen(stderr=True), "looking") as say:
        report = examine(
            servers,
            os.environ,
            pids=pids,
            application=to.application if to else "",
            wait_seconds=wait_seconds,
            say=say,
        )
    if as_json:
        print(without_passwords(json.dumps(report.in_words(), indent=2)))
    else:
        _show(screen(), report)
    return 1 if report.ill else 0


def _nothing(_: str) -> None:
    pass


def _show(console: Console, report: Report) -> None:
    for finding in report.findings:
        colour = _COLOURS[finding.kind.severity]
        console.print(
            f"[{colour}]{finding.kind.severity}[/] [bold]{finding.kind.id}[/]  "
            f"{escape(finding.found)}{escape(_where(finding))}",
        )
        console.print(f"    expected: {escape(finding.kind.expected)}")
        console.print(f"    fix:      {escape(finding.fix)}")
    if report.findings:
        console.print()
    console.print("Looked at:")
    for line in report.looked:
        console.print(f"  {escape(line)}")
    counts = [(s, sum(f.kind.severity == s for f in report.findings)) for s in SEVERITIES]
    told = ", ".join(f"{number} {severity}" for severity, number in counts if number)
    if report.ill:
        console.print(f"[bold]{len(report.findings)} found[/]: {told}.")
    else:
        notes = f" ({told})" if told else ""
        console.print(f"[bold green]Nothing wrong found[/] in what is named above{notes}.")


def _where(finding: Finding) -> str:
    """The parts of its place that its words lack."""
    parts = []
    for name in ("pid", "command", "file", "address"):
        value = finding.where.get(name)
        if value is not None and str(value) not in finding.found:
            parts.append(f"{name} {value}")
    return f" [{', '.join(parts)}]" if parts else ""
