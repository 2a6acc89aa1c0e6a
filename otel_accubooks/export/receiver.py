"""Noticing that the receiver was replaced: a connection that broke, or could not be made."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError
from urllib3.util import is_connection_dropped


class NotReceived(Exception):
    """Nothing was sent: no connection could be made, or the one at hand was closed meanwhile."""


class ReceiverAdapter(HTTPAdapter):
    """Sends as usual, and ends an export at once, instead of trying again, where nothing was sent.

    What is to be sent depends on whether the receiver is a new one (see `sending`), so it is not
    for the transport to try the same again. `received` becomes True once a request may have arrived.
    """

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self.received = False

    def dropped(self) -> bool:
        """True if a connection that was kept open has been closed by the receiver."""
        pools: Any = self.poolmanager.pools
        kept = [c for key in pools.keys() for c in pools[key].pool.queue if c is not None]  # noqa: SIM118
        return any(connection.sock and is_connection_dropped(connection) for connection in kept)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Sends one request. Raises NotReceived, or what requests raises."""
        if self.dropped():
            self.close()
            raise NotReceived("the receiver closed the connection")
        try:
            response = super().send(request, *args, **kwargs)
        except requests.ConnectionError as error:
            if _not_connected(error):
                raise NotReceived(str(error)) from error
            self.received = True
            raise
        except BaseException:
            self.received = True
            raise
        # Refused by the receiver itself; any other failure may have come after it was taken.
        self.received |= response.status_code not in (429, 503)
        return response


def _not_connected(error: requests.ConnectionError) -> bool:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError) or isinstance(error, requests.ConnectTimeout)


def watched_session() -> tuple[requests.Session, ReceiverAdapter]:
    """A session for the OTLP exporter, and its adapter, to ask."""
    session = requests.Session()
    adapter = ReceiverAdapter()
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session, adapter
