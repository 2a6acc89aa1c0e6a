"""What was looked at, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# "unseen": nobody can tell from here, so a person must.
State = Literal["passed", "failed", "unseen"]


@dataclass(frozen=True)
class Look:
    """One look at a running deployment. Nothing is assumed: what was not seen has not passed.

    `said` is one line for people: what was found and, unless it passed, what was expected and what
    to do. `evidence` are lines that show it, as they were read.
    """

    name: str
    state: State
    said: str
    evidence: tuple[str, ...] = ()
