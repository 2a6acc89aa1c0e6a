"""Every fault that can be found, and the page of the documentation that lists them."""

from __future__ import annotations

from types import ModuleType

from otel_accubooks.doctor import (
    access,
    arrival,
    clocks,
    datadog,
    endpoints,
    environment,
    examination,
    exporter,
    folders,
    gateway,
    launcher,
    packages,
    prometheus,
    rules,
    uwsgi,
)
from otel_accubooks.doctor.finding import Kind

SUBJECTS: tuple[tuple[str, ModuleType], ...] = (
    ("Applications and the launcher", launcher),
    ("Packages", packages),
    ("Environment", environment),
    ("uWSGI", uwsgi),
    ("Folders with counts", folders),
    ("Exporter", exporter),
    ("Gateway", gateway),
    ("Who may send", access),
    ("Arrival", arrival),
    ("Prometheus", prometheus),
    ("Datadog", datadog),
    ("Clocks", clocks),
    ("Monitoring endpoints", endpoints),
    ("Rules and tiers", rules),
    ("The doctor itself", examination),
)


def by_subject() -> dict[str, list[Kind]]:
    """The kinds of findings by subject, each where it is first used."""
    seen: set[str] = set()
    found: dict[str, list[Kind]] = {}
    for title, module in SUBJECTS:
        for kind in vars(module).values():
            if isinstance(kind, Kind) and kind.id not in seen:
                seen.add(kind.id)
                found.setdefault(title, []).append(kind)
    return found


def kinds() -> dict[str, Kind]:
    """All of them by id."""
    return {kind.id: kind for group in by_subject().values() for kind in group}


def page() -> str:
    """docs/doctor.md, but for the line that says who writes it."""
    from otel_accubooks.doctor.words import ABOUT

    lines = ["# The doctor", "", ABOUT.strip(), "", "## What it finds", ""]
    for title, group in by_subject().items():
        lines += [f"### {title}", "", "| found | is | means | what to do |", "|---|---|---|---|"]
        for kind in group:
            cells = (f"`{kind.id}`", kind.severity, kind.about, kind.fix)
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
