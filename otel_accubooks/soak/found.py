"""What a soak found, as it is reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

# "unseen": nobody can tell from here. It has not passed.
State = Literal["passed", "failed", "unseen"]


@dataclass(frozen=True)
class Finding:
    """One sentence on what was seen, and whether it is as it should be."""

    state: State
    said: str


@dataclass(frozen=True)
class Table:
    """Numbers for people, as texts."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One subject of the report. `notes` say what to know when reading it."""

    name: str
    findings: tuple[Finding, ...]
    table: Table | None = None
    notes: tuple[str, ...] = ()


def judged(*, failed: bool, said: str) -> Finding:
    """A finding that has failed or passed."""
    return Finding("failed" if failed else "passed", said)


def moment(seconds: float) -> str:
    """Unix seconds as UTC: 2026-02-01 16:33:00Z."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def number(value: float) -> str:
    """Four digits that tell something; none behind the point where it is whole."""
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.4g}"


def often(count: int) -> str:
    """How often, in words."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def size(value: float) -> str:
    """Bytes in MiB."""
    return f"{value / 1024 / 1024:,.1f} MiB"
