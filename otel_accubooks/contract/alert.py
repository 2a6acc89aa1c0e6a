"""The words in which an alert is described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otel_accubooks.contract.query import DAY, HOUR, MINUTE, Growth, Query

Severity = Literal["P0", "P1", "P2", "P3", "test", "none"]
Channel = Literal["phone", "email", "slack", "info", "escalation", "heartbeat"]
Comparison = Literal[">", "<", "=="]

CHANNELS: dict[Severity, tuple[Channel, ...]] = {
    "P0": ("phone", "email", "slack"),
    "P1": ("email", "slack"),
    "P2": ("slack",),
    "P3": ("info",),
    # Everybody: it is for them to see whether they are reached.
    "test": ("phone", "email", "slack", "info", "escalation"),
    "none": ("heartbeat",),
}
# Seconds until an alert that lasts is told again.
AGAIN: dict[Severity, float] = {
    "P0": 30 * MINUTE,
    "P1": 2 * HOUR,
    "P2": 12 * HOUR,
    "P3": DAY,
    "test": HOUR,
    "none": MINUTE,
}


@dataclass(frozen=True)
class Condition:
    """What must hold of a query's answer. Of several groups, each speaks for itself."""

    query: Query
    comparison: Comparison
    threshold: float

    def __str__(self) -> str:
        return f"{self.query} {self.comparison} {self.threshold:g}"


@dataclass(frozen=True)
class Guard:
    """Low traffic: the alert is silent while `growth` is below `least`."""

    growth: Growth
    least: float


@dataclass(frozen=True)
class Alert:
    """One alert. It fires once any of its conditions has held, each for itself, for `hold` seconds.

    `unit` is that of the thresholds; {threshold:g} in `text` is the first of them.
    `respond` is seconds until somebody looks, 0 for at once, None where nobody has to. `mutes` names
    the alerts that say the same less urgently, and are silent while this one fires.
    """

    name: str
    severity: Severity
    text: str
    conditions: tuple[Condition, ...]
    unit: str
    hold: float
    respond: float | None = None
    guard: Guard | None = None
    mutes: tuple[str, ...] = ()
    escalates: bool = False

    @property
    def summary(self) -> str:
        """What is wrong, in one sentence."""
        return self.text.format(threshold=self.conditions[0].threshold)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Where it is delivered."""
        return (*CHANNELS[self.severity], *(("escalation",) if self.escalates else ()))
