"""The way through a vendor: the gateway, then what the vendor's API shows of points and of the alert."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping

from otel_accubooks.servers.api import Api
from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial.gateway import Gateway
from otel_accubooks.trial.hop import Hop
from otel_accubooks.trial.station import Look, Station, Trial
from otel_accubooks.trial.way import Stage, Way

# A vendor shows points a minute or two late.
STORED_SECONDS = 240.0
# It asks once a minute, and waits for what is late; New Relic opens up to two minutes later.
FIRES_SECONDS = 360.0
# Vendors let nobody ask as often as one likes.
EVERY_SECONDS = 5.0


class VendorWay(Way):
    """Gateway, points, alert. A subclass knows the vendor, and how to ask."""

    name: str

    def __init__(
        self, api: Api, servers: Servers, trial: Trial, environ: Mapping[str, str]
    ) -> None:
        self._api, self._trial = api, trial
        self._gateway = Gateway(servers, trial, environ)

    @abstractmethod
    def stored(self) -> str | None:
        """How the points were seen. Raises ApiError, as the others do."""

    @abstractmethod
    def fires(self) -> str | None:
        """How the alert was seen to fire."""

    @abstractmethod
    def does_not_fire(self) -> str:
        """What is wrong where it does not."""

    @abstractmethod
    def over(self) -> str | None:
        """How the alert was seen to be over."""

    def begin(self) -> list[Hop]:
        return [self._gateway.begin()[0]]

    def stages(self) -> list[Stage]:
        missing = (
            f"the gateway took it, and {self.name} has no point of it; does the gateway send to this "
            "account and site? Its log and its queue say so"
        )
        stored = Station(self.name, _now_and_then(self.stored), lambda: missing)
        fires = Station(
            "rule", _now_and_then(self.fires), self.does_not_fire, _now_and_then(self.over)
        )
        return [Stage((stored,), STORED_SECONDS), Stage((fires,), FIRES_SECONDS)]

    def meanwhile(self) -> None:
        self._gateway.again()

    def end(self) -> Hop | None:
        return self._gateway.end()

    def close(self) -> None:
        self._gateway.close()
        self._api.close()


def _now_and_then(look: Look) -> Look:
    """The same, asked no more often than the vendor likes; between that it was not seen."""
    last = -EVERY_SECONDS

    def asked() -> str | None:
        nonlocal last
        if time.monotonic() - last < EVERY_SECONDS:
            return None
        last = time.monotonic()
        return look()

    return asked
