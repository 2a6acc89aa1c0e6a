"""The words in which a runbook is described."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Runbook:
    """What whoever is woken by an alert reads first.

    `means` says what it is for users; `checks` and `mitigations` are steps, the likeliest first;
    `calls` is who is asked if they do not help.
    """

    means: str
    checks: tuple[str, ...]
    mitigations: tuple[str, ...]
    calls: str
