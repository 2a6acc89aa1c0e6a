"""A Redis server of our own, in memory alone."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from otel_accubooks.stack.ports import LOOPBACK, free_port
from otel_accubooks.stack.process import Server


class Redis(Server):
    """A Redis on the loopback address that writes nothing to disk; `args` are further flags."""

    def __init__(self, folder: Path, *, port: int | None = None, args: Sequence[str] = ()) -> None:
        self.port = port or free_port()
        self.url = f"redis://{LOOPBACK}:{self.port}/0"
        super().__init__(
            "Redis",
            [
                *("redis-server", "--bind", LOOPBACK, "--port", str(self.port)),
                *("--save", "", "--appendonly", "no", *args),
            ],
            log=folder / "redis.log",
            ready=lambda: _answers(self.port),
        )


def _answers(port: int) -> bool:
    # A port that is open is not enough: Redis answers -LOADING first.
    with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
