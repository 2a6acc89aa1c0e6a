"""The words in which a dashboard is described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otel_accubooks.contract.alert import Severity
from otel_accubooks.contract.query import Query

# status: green while healthy, yellow while an URGENT alert fires, red while unhealthy or unreachable.
# alerts: a table of the alerts that fired last.
Kind = Literal["lines", "bars", "stat", "gauge", "pie", "status", "alerts"]
Team = Literal["executives", "operations", "engineering", "product"]

URGENT: tuple[Severity, ...] = ("P0", "P1", "P2")


@dataclass(frozen=True)
class Curve:
    """A query and its name; {label} in it stands for the value of a label that it is grouped by."""

    name: str
    query: Query


@dataclass(frozen=True)
class Threshold:
    """From this value on (or up to it, where `below`) the panel turns yellow, or red."""

    value: float
    colour: Literal["yellow", "red"]
    below: bool = False


@dataclass(frozen=True)
class Panel:
    """One panel. `span` is the time that it looks back where that is not the dashboard's own."""

    title: str
    kind: Kind
    unit: str
    curves: tuple[Curve, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    most: float | None = None
    span: float | None = None


@dataclass(frozen=True)
class Section:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard, for `teams`. `refresh`, `span` and `spans` (others at hand) are seconds."""

    name: str
    title: str
    teams: tuple[Team, ...]
    refresh: float
    span: float
    sections: tuple[Section, ...]
    spans: tuple[float, ...] = ()
    public: bool = False

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in their order."""
        return tuple(panel for section in self.sections for panel in section.panels)
