"""A test alert through the whole path, watched at every station until it is over again.

    hops = run(servers, to)          # blocks for half a minute or more; cleans up, on Ctrl-C too
    whole(hops)                      # True only if it was seen to arrive at every channel, and to end

Every station is one `Hop`, in the order of the way, told to `say` as soon as it is known; those where
it has to end come once more, as "<name>: over". Hops with a `channel` are people's ends of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Literal

from otel_accubooks.apply import accounts
from otel_accubooks.contract.alerts import WATCHDOG
from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial.channels import Channels
from otel_accubooks.trial.hop import Hop
from otel_accubooks.trial.prometheus import BACKEND, RULE, PrometheusWay
from otel_accubooks.trial.station import Station, Trial, follow
from otel_accubooks.trial.way import GATEWAY, Stage, Way
from otel_accubooks.vendors.addresses import Addresses

Backend = Literal["prometheus", "datadog", "newrelic"]
# Asks a person a question of yes or no; None where nobody answers.
Confirm = Callable[[str], bool | None]
# How long a mail may take, and what Alertmanager tries again.
ARRIVED_SECONDS = 120.0
# Evaluated, told, gathered, delivered; a vendor that asks once a minute takes two of them.
OVER_SECONDS = 240.0


def run(
    servers: Servers,
    to: Addresses,
    *,
    backend: Backend = "prometheus",
    environ: Mapping[str, str] = os.environ,
    confirm: Confirm | None = None,
    say: Callable[[Hop], None] = lambda _: None,
    url: str | None = None,
    directly: bool = False,
) -> list[Hop]:
    """Fires a test alert, follows it, ends it.

    `environ` has the secrets (docs/test-alert.md). `confirm` asks a person about
    what cannot be seen from here; without an answer that stays "unseen". `url` is the vendor's API, where
    it is not the vendor's own. `directly` begins at Alertmanager: so a certain one of a pair, of which only
    one tells what both know, is tried. Raises nothing of its own; what interrupts it comes through
    once the alert is ended.
    """
    trial = Trial()
    hops: list[Hop] = []

    def tell(hop: Hop) -> None:
        hops.append(hop)
        say(hop)

    with ExitStack() as closing:
        try:
            way: Way = (
                PrometheusWay(servers, to, trial, environ, directly=True)
                if directly
                else _WAYS[backend](servers, to, trial, environ, url)
            )
        except ValueError as error:
            tell(Hop(backend, "missing", str(error)))
            return hops
        closing.callback(way.close)
        channels = Channels(servers, to, environ, trial, way.handed, closing)
        told = _Told(trial, way, confirm, tell)
        try:
            told.there(channels.stations())
        finally:
            ended = way.end()
        if ended is not None and hops[0].state == "arrived":
            tell(ended)
        told.over()
    return hops


def whole(hops: Sequence[Hop]) -> bool:
    """Whether all of the way was seen to work: nothing missing, nothing unseen.

    Where the way to Alertmanager was not tried, Watchdog has to have shown it.
    """
    shown = any(hop.name == WATCHDOG and hop.state == "arrived" for hop in hops)
    return bool(hops) and all(
        hop.state == "arrived"
        or (shown and hop.state == "unseen" and hop.name in (GATEWAY, BACKEND, RULE))
        for hop in hops
    )


def _prometheus(
    servers: Servers, to: Addresses, trial: Trial, environ: Mapping[str, str], _: str | None
) -> Way:
    return PrometheusWay(servers, to, trial, environ)


def _datadog(
    servers: Servers, _: Addresses, trial: Trial, environ: Mapping[str, str], url: str | None
) -> Way:
    from otel_accubooks.trial.datadog import DatadogWay

    return DatadogWay(accounts.datadog(url, environ), servers, trial, environ)


def _newrelic(
    servers: Servers, _: Addresses, trial: Trial, environ: Mapping[str, str], url: str | None
) -> Way:
    from otel_accubooks.trial.newrelic import NewRelicWay

    api, account = accounts.newrelic(url, environ)
    return NewRelicWay(api, account, servers, trial, environ)


_WAYS: dict[Backend, Callable[..., Way]] = {
    "prometheus": _prometheus,
    "datadog": _datadog,
    "newrelic": _newrelic,
}


class _Told:
    """Follows one test alert there, and its end."""

    def __init__(
        self,
        trial: Trial,
        way: Way,
        confirm: Confirm | None,
        tell: Callable[[Hop], None],
    ) -> None:
        self._trial, self._way = trial, way
        self._confirm, self._tell = confirm, tell
        self._reached: list[Station] = []

    def there(self, channels: Sequence[Station]) -> None:
        """From the beginning to everybody's end of a channel."""
        began = self._way.begin()
        for hop in began:
            self._tell(hop)
        stages = [*self._way.stages(), Stage(tuple(channels), ARRIVED_SECONDS)]
        lost = next((hop.name for hop in began if hop.state == "missing"), "")
        for stage in stages:
            if lost:
                self._miss(stage, lost)
            elif not self._follow(stage):
                lost = stage.stations[0].name

    def _follow(self, stage: Stage) -> bool:
        """Whether it came further than this."""
        by_name = {station.name: station for station in stage.stations}
        found = []
        for hop in follow(self._trial, stage.stations, stage.limit, self._way.meanwhile):
            self._tell(self._asked(hop, by_name[hop.name]))
            if hop.state == "arrived":
                self._reached.append(by_name[hop.name])
            if hop.state != "missing":
                found.append(hop)
        return bool(found)

    def _asked(self, hop: Hop, station: Station) -> Hop:
        if hop.state != "unseen" or self._confirm is None or not station.question:
            return hop
        answer = self._confirm(station.question)
        if answer is None:
            return hop
        if answer:
            at = time.strftime("%H:%M:%S")
            return replace(hop, state="arrived", said=f"a person confirmed it at {at}; {hop.said}")
        return replace(hop, state="missing", said=f"a person says that it did not; {hop.said}")

    def _miss(self, stage: Stage, lost: str) -> None:
        for station in stage.stations:
            said = f"not reached: it got no further than {lost}"
            self._tell(Hop(station.name, "missing", said, None, station.channel))

    def over(self) -> None:
        """Its end, wherever it had come."""
        for hop in follow(self._trial, self._reached, OVER_SECONDS, lambda: None, end=True):
            self._tell(hop)
