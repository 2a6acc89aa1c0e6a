"""A server that hangs: it runs, takes connections, and does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from otel_accubooks.stack.process import Server


@contextmanager
def hanging(server: Server) -> Iterator[None]:
    """All processes of `server` stand still, as on a host that is out of memory or of disk."""
    first = psutil.Process(server.pid)
    processes = [first, *first.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            process.resume()
