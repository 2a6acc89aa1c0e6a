"""The health of what a service depends on, as its processes last found it."""

from __future__ import annotations

from dataclasses import dataclass

from otel_accubooks.contract.unsent import CHECK_SECONDS, TARGET_ANSWERED_AT, TARGET_HEALTHY
from otel_accubooks.recorder.totals import Totals

STALE_SECONDS = 3 * CHECK_SECONDS


@dataclass(frozen=True)
class Target:
    """A database, cache or queue. `stale`: it has not answered for STALE_SECONDS."""

    component: str
    name: str
    answered: bool
    stale: bool

    @property
    def healthy(self) -> bool:
        return self.answered and not self.stale


def targets(totals: Totals, now: float) -> list[Target]:
    """What was checked, sorted by component and name; `now` is Unix seconds."""
    answered_at = {point.labels: point.value for point in totals.of(TARGET_ANSWERED_AT)}
    found = []
    for point in totals.of(TARGET_HEALTHY):
        at = answered_at.get(point.labels, 0.0)
        if at >= 0.0 and not point.overflow:
            component, name = point.labels
            found.append(Target(component, name, point.value == 1.0, now - at > STALE_SECONDS))
    return sorted(found, key=lambda target: (target.component, target.name))
