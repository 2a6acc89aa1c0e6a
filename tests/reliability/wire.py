"""A TCP connection between two servers that a drill can cut, or let hang."""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType

from otel_accubooks.stack.ports import LOOPBACK, free_port

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, zero seconds


class Wire:
    """Passes on what comes to its `port` to the port `to`, as long as it is whole.

    As a context manager it listens. Cut, it refuses connections and resets those that it had; hanging,
    it takes connections and bytes as a network does that loses every packet, and delivers them later.
    """

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self._to = to
        self._passes = threading.Event()
        self._passes.set()
        self._listener: socket.socket | None = None
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()

    def cut(self) -> None:
        """No connection is left, and none can be made."""
        listener, self._listener = self._listener, None
        if listener is not None:
            _close(listener)
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            except OSError:
                pass  # closed meanwhile
            _close(end)
        self._passes.set()

    def hang(self) -> None:
        """Nothing passes, and nobody is told."""
        self._passes.clear()

    def mend(self) -> None:
        """All that waits passes, and connections can be made."""
        self._passes.set()
        if self._listener is None:
            self._listener = socket.create_server((LOOPBACK, self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def __enter__(self) -> Wire:
        self.mend()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # it was cut
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._passes.wait()
        try:
            far = socket.create_connection((LOOPBACK, self._to), timeout=10)
        except OSError:
            _close(near)
            return
        far.settimeout(None)
        with self._lock:
            self._ends |= {near, far}
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while content := source.recv(65536):
                self._passes.wait()
                sink.sendall(content)
        except OSError:
            pass  # cut, or one of the two was killed
        with self._lock:
            self._ends -= {source, sink}
        _close(source)
        _close(sink)


def _close(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # its other end was faster
    end.close()
