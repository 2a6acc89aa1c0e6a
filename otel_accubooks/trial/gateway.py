"""The first station of every way: the gateway, which is sent the metric behind the test alert."""

from __future__ import annotations

from collections.abc import Mapping

from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial.hop import Hop
from otel_accubooks.trial.sending import Sender, Sent
from otel_accubooks.trial.station import Trial
from otel_accubooks.trial.way import GATEWAY


class Gateway:
    """Is sent 1 while the test lasts, and 0 at its end."""

    def __init__(self, servers: Servers, trial: Trial, environ: Mapping[str, str]) -> None:
        self._sender, self._trial = Sender(servers, trial, environ), trial
        self._began = False

    def begin(self) -> tuple[Hop, Sent]:
        """The hop, and what the last answer was."""
        sent = self._sender.send(1)
        # What was not answered may have been taken.
        self._began = sent.there
        if sent.taken:
            return Hop(GATEWAY, "arrived", sent.said, self._trial.seconds), sent
        return Hop(GATEWAY, "missing", sent.said), sent

    def again(self) -> None:
        """Sends 1 again where it is time to."""
        self._sender.again()

    def end(self) -> Hop | None:
        """Sends 0, where it may have begun."""
        if not self._began:
            return None
        sent = self._sender.send(0)
        if sent.taken:
            return Hop("the end", "arrived", sent.said, self._trial.seconds)
        said = f"{sent.said} Without an end the alert lasts five minutes after its last point."
        return Hop("the end", "missing", said)

    def close(self) -> None:
        """Ends the connections."""
        self._sender.close()
