"""The way of a test alert through a backend, up to the channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from otel_accubooks.trial.handed import Handed
from otel_accubooks.trial.hop import Hop
from otel_accubooks.trial.station import Station

GATEWAY = "gateway"


@dataclass(frozen=True)
class Stage:
    """Stations that are looked at together, for at most `limit` seconds; the reason is with it."""

    stations: tuple[Station, ...]
    limit: float


class Way(ABC):
    """How a test alert begins, where it has to come by, and how it ends."""

    # What counts the notifications, where something does.
    handed: Handed | None = None

    @abstractmethod
    def begin(self) -> list[Hop]:
        """Fires it; the first hops."""

    @abstractmethod
    def stages(self) -> list[Stage]:
        """The stations up to the channels, once it has begun."""

    @abstractmethod
    def meanwhile(self) -> None:
        """What has to be done again and again while it lasts."""

    @abstractmethod
    def end(self) -> Hop | None:
        """Ends it; what became of that. Called once, whatever happened before."""

    @abstractmethod
    def close(self) -> None:
        """Ends the connections."""
