"""What is found: its kind, which says the cause and the fix, and what was seen of it here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

# wrong: metrics are lost or false. suspicious: so it usually is. note: good to know, counts as health.
Severity = Literal["wrong", "suspicious", "note"]
SEVERITIES: tuple[Severity, ...] = ("wrong", "suspicious", "note")


@dataclass(frozen=True)
class Kind:
    """One fault that can be found. `about`, `expected` and `fix` are one line each."""

    id: str
    severity: Severity
    about: str
    expected: str
    fix: str

    def found(self, found: str, *, fix: str = "", **where: Any) -> Finding:
        """The fault as it was found; `where` has pid, command, file, address or service.

        `fix` is for one that can be said more exactly here than for all.
        """
        return Finding(self, one_line(found), one_line(fix or self.fix), where)


@dataclass(frozen=True)
class Finding:
    """A fault that was found: one line on what was seen, one on what to do, and where."""

    kind: Kind
    found: str
    fix: str
    where: dict[str, Any] = field(default_factory=dict)

    def in_words(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "id": self.kind.id,
            "severity": self.kind.severity,
            "found": self.found,
            "expected": self.kind.expected,
            "fix": self.fix,
            "where": {name: _plain(value) for name, value in sorted(self.where.items())},
        }

    def without(self, secrets: frozenset[str]) -> Finding:
        """The same with each of `secrets` blotted out, wherever a server may have repeated it."""
        found, fix = self.found, self.fix
        for secret in sorted(secrets, key=len, reverse=True):
            found, fix = found.replace(secret, "…"), fix.replace(secret, "…")
        where = {
            name: _blotted(value, secrets) if isinstance(value, str) else value
            for name, value in self.where.items()
        }
        return replace(self, found=found, fix=fix, where=where)


def _blotted(text: str, secrets: frozenset[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else str(value)


def one_line(text: str) -> str:
    """`text` without line breaks, and not longer than a person reads."""
    line = " ".join(text.split())
    return line if len(line) <= 600 else f"{line[:599]}…"
