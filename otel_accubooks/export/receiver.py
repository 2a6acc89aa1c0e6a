"""Noticing that the receiver was replaced: a connection that broke, or could not be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from urllib3 import PoolManager
from urllib3.exceptions import MaxRetryError, NewConnectionError
from urllib3.util import is_connection_dropped

from otel_accubooks.export.answer import AnswerAdapter, NoReceiver
from otel_accubooks.export.session import Session

_AT_THE_DOOR = b"high memory usage"  # in the words of the collector's memory limiter


class NotReceived(Exception):
    """Nothing was sent: no connection could be made, or the one at hand was closed meanwhile."""


class ReceiverAdapter(AnswerAdapter):
    """Sends as usual, and ends an export at once, instead of trying again, where nothing was sent.

    What is to be sent depends on whether the receiver is a new one (see `sending`), so it is not
    for the transport to try the same again. `received` becomes True once a request may have arrived,
    `answered` once a collector itself said what became of it: then it has not been replaced.
    """

    def __init__(self) -> None:
        self.sending: Callable[[], None] = lambda: None
        self.received = False
        self.answered = False
        self._has_connection = False
        super().__init__(pool_connections=1, pool_maxsize=1)

    def on_sending(self, callback: Callable[[], None]) -> None:
        """Calls `callback` before anything is sent, as soon as there is a connection to send it by."""
        self.sending = callback

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As usual, with connections that say when they are made."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As usual, with connections that say when they are made."""
        return self._watch(super().proxy_manager_for(*args, **kwargs))

    def _watch(self, manager: Any) -> Any:
        manager.pool_classes_by_scheme = {
            scheme: _watched(pool_class, self._connected)
            for scheme, pool_class in PoolManager().pool_classes_by_scheme.items()
        }
        return manager

    def _connected(self) -> None:
        self._has_connection = True
        self.sending()

    def _kept(self) -> list[Any]:
        """The connections that were kept open, or were closed by the receiver."""
        found = []
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            pools: Any = manager.pools
            for key in pools.keys():  # noqa: SIM118
                found += [c for c in pools[key].pool.queue if c is not None and c.sock]
        return found

    def dropped(self) -> bool:
        """True if a connection that was kept open has been closed by the receiver."""
        return any(is_connection_dropped(connection) for connection in self._kept())

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Sends one request. Raises NotReceived, or what requests raises."""
        self.answered = False
        if self.dropped():
            self.close()
            raise NotReceived("the receiver closed the connection")
        self._has_connection = bool(self._kept())
        if self._has_connection:
            self.sending()
        try:
            response = super().send(request, *args, **kwargs)
        except NoReceiver as error:
            raise NotReceived(str(error)) from error
        except requests.ConnectionError as error:
            # Without one where TLS failed, too.
            if not self._has_connection or _not_connected(error):
                raise NotReceived(str(error)) from error
            self.received = True
            raise
        except BaseException:
            self.received = True
            raise
        self.answered = _by_a_collector(response)
        self.received |= not _taken_by_nobody(response)
        return response


def _watched(pool_class: Any, connected: Callable[[], None]) -> Any:
    """The same kind of urllib3's pools, whose connections call `connected` once they are made."""

    class Connection(pool_class.ConnectionCls):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            connected()

    class Pool(pool_class):  # type: ignore[misc]
        ConnectionCls = Connection

    return Pool


def _by_a_collector(response: requests.Response) -> bool:
    return response.ok or response.headers.get("Content-Type", "") == "application/x-protobuf"


def _taken_by_nobody(response: requests.Response) -> bool:
    if response.status_code in (401, 403):
        return True  # nobody is let in to be read
    if response.status_code not in (429, 503):
        return False  # it may have come after the request was taken
    # A collector that refuses at its door says why. Else one backend's queue may have taken what
    # another's had no room for.
    return not _by_a_collector(response) or _AT_THE_DOOR in response.content


def _not_connected(error: requests.ConnectionError) -> bool:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError) or isinstance(error, requests.ConnectTimeout)


def watched_session() -> tuple[requests.Session, ReceiverAdapter]:
    """A session for the OTLP exporter, and its adapter, to ask."""
    session = Session()
    adapter = ReceiverAdapter()
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    return session, adapter
