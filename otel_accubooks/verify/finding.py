"""What one look finds, while it goes on: faults, what cannot be told, and what was read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from otel_accubooks.contract.checklist import LookName
from otel_accubooks.verify.look import Look

_TOLD = 3
_POLL_SECONDS = 1.0


@dataclass
class Finding:
    """Becomes failed by one fault, and unseen by one doubt; each is one line that ends in the fix."""

    name: LookName
    faults: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)

    def look(self, passed: str) -> Look:
        """What was found; `passed` is what is said where nothing is wrong."""
        if self.faults:
            return Look(self.name, "failed", listed(self.faults), self._lines(self.faults))
        if self.doubts:
            return Look(self.name, "unseen", listed(self.doubts), self._lines(self.doubts))
        return Look(self.name, "passed", passed, tuple(self.evidence))

    def _lines(self, told: Sequence[str]) -> tuple[str, ...]:
        """The evidence, before it whatever has no room in one line."""
        return (*told[_TOLD:], *self.evidence)


def listed(parts: Sequence[str]) -> str:
    """One line of the first parts, and how many more there are."""
    more = len(parts) - _TOLD
    return "; ".join(parts[:_TOLD]) + (f"; and {more} more, see the evidence" if more > 0 else "")


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """True as soon as `condition` holds; False if it does not within the time."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(_POLL_SECONDS)
    return True
