"""Being there meanwhile: what Prometheus does not keep is looked at again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.exposition import Exposition, exposed
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.servers.settings import Servers
from otel_accubooks.soak import host
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.found import Finding, moment
from otel_accubooks.soak.silence import Span
from otel_accubooks.soak.window import now

# Prometheus may be away at the very end, too.
_END_PATIENCE_SECONDS = 300.0
_MOST_PAUSE, _LEAST_PAUSE = 15.0, 1.0
_LOOKS = 60


@dataclass
class Watch:
    """What was seen so far. Times are Prometheus's, guessed while it is away.

    `unread` has why the page of metrics of a server could not be read at the beginning or the end.
    """

    prometheus: Prometheus
    servers: Servers
    start: float = 0.0
    end: float = 0.0
    looks: list[host.Look] = field(default_factory=list)
    away: list[Span] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    _began: float = 0.0
    _away_since: float | None = None
    _first: dict[str, Exposition] = field(default_factory=dict)
    _last: dict[str, Exposition] = field(default_factory=dict)

    def begin(self) -> None:
        """Takes note of the beginning. Raises ApiError where Prometheus does not answer."""
        self.start = self.end = now(self.prometheus)
        self._began = time.monotonic()
        self._first = self._pages()
        self.looks += host.look(self.start)

    def until(self, seconds: float, seen: Callable[[float], None]) -> None:
        """Watches until so many seconds are over; `seen` is told how many are, again and again."""
        pause = min(max(seconds / _LOOKS, _LEAST_PAUSE), _MOST_PAUSE)
        while (left := seconds - (self.end - self.start)) > 0:
            time.sleep(min(pause, left))
            self._look()
            seen(min(self.end - self.start, seconds))

    def finish(self) -> None:
        """Takes note of the end; waits a while for a Prometheus that is away.

        Raises ApiError where it stays away.
        """
        give_up = time.monotonic() + _END_PATIENCE_SECONDS
        while True:
            try:
                self.end = max(now(self.prometheus), self.end)
                break
            except ApiError:
                if time.monotonic() > give_up:
                    raise
        self._is_back()
        self.looks += host.look(self.end)
        self._last = self._pages()

    def pages_of(self, address: str) -> dict[str, tuple[Exposition, Exposition]]:
        """The page of the server at this address at the beginning and at the end, if it was read."""
        if address in self._first and address in self._last:
            return {address: (self._first[address], self._last[address])}
        return {}

    def findings(self) -> list[Finding]:
        """What only somebody who was there can say."""
        found = [
            Finding(
                "failed",
                f"Prometheus did not answer from {moment(since)} on for {spoken(to - since)}",
            )
            for since, to in self.away
        ]
        return found + [Finding("unseen", why) for why in dict.fromkeys(self.unread)]

    def _look(self) -> None:
        guessed = self.start + time.monotonic() - self._began
        try:
            self.end = now(self.prometheus)
            self._is_back()
        except ApiError:
            self._away_since = self._away_since or guessed
            self.end = max(guessed, self.end)
        self.looks += host.look(self.end)

    def _is_back(self) -> None:
        if self._away_since is not None:
            self.away.append((self._away_since, self.end))
            self._away_since = None

    def _pages(self) -> dict[str, Exposition]:
        found = {}
        for address in (self.servers.prometheus, *self.servers.alertmanager):
            try:
                found[address] = exposed(f"{address}/metrics")
            except ApiError as error:
                self.unread.append(f"its own metrics could not be read: {error}")
        return found
