"""What a drill is, and how one goes: a fault, its alert, the end of the fault, the alert's end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otel_accubooks.stack.deployment import SERVICE

if TYPE_CHECKING:
    from stand import History, Stand

# A cause is entered to begin the fault, and left to end it.
Cause = Callable[["Stand"], AbstractContextManager[object]]


@dataclass(frozen=True)
class Drill:
    """`fault` says in words what `cause` does. `related` are alerts that the same fault may raise.

    `changes` are arguments of `shortened` for the one alert, where a thirtieth of its times does not
    do, or where the machine does not reach its threshold. `service` is the label `job` that the alert
    has to have: None for what is asked of no service.
    """

    alert: str
    fault: str
    cause: Cause
    related: frozenset[str] = frozenset()
    changes: Mapping[str, float] = field(default_factory=dict)
    service: str | None = SERVICE

    def __str__(self) -> str:
        return f"{self.alert}: {self.fault}"


@dataclass(frozen=True)
class Seen:
    """What Prometheus did, in seconds: after the fault began, and (resolved) after it ended."""

    pending: float | None
    firing: float
    resolved: float
    others: tuple[str, ...]


def run(drill: Drill, stand: Stand) -> Seen:
    """Goes through it all. Raises AssertionError where Prometheus did what it should not have."""
    stand.wait_until_quiet()
    began = time.time()
    with drill.cause(stand):
        stand.wait_for(drill.alert, "firing")
    ended = time.time()
    stand.wait_until_over(drill.alert)
    over = time.time()
    stand.wait_until_quiet()
    return seen(drill, stand, stand.history(began, time.time()), began, ended, over)


def seen(
    drill: Drill, stand: Stand, history: History, began: float, ended: float, over: float
) -> Seen:
    """What `history` tells, once it is as it should be."""
    states = history[drill.alert]
    alert = stand.alerts[drill.alert]
    first = {state: at for at, state, _ in reversed(states)}
    order = list(dict.fromkeys(state for _, state, _ in states))
    assert order == (["pending", "firing"] if alert.hold else ["firing"]), order
    said = {(labels["severity"], labels.get("job")) for _, _, labels in states}
    assert said == {(alert.severity, drill.service)}
    others = {name for name, told in history.items() if any(s == "firing" for _, s, _ in told)}
    others -= {drill.alert, "Watchdog"}
    assert others <= drill.related, f"fired too: {sorted(others - drill.related)}"
    last = max(at for at, state, _ in states if at <= over)
    return Seen(
        pending=first["pending"] - began if alert.hold else None,
        firing=first["firing"] - began,
        resolved=max(last - ended, 0.0),
        others=tuple(sorted(others)),
    )


def row(drill: Drill, told: Seen) -> dict[str, Any]:
    """One line of the table of all drills."""
    return {
        "alert": drill.alert,
        "fault": drill.fault,
        "pending": "-" if told.pending is None else f"{told.pending:.0f} s",
        "firing": f"{told.firing:.0f} s",
        "resolved": f"{told.resolved:.0f} s",
        "fired too": ", ".join(told.others),
    }
