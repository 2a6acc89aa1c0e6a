"""The exporter's first steps: it is elected before it imports anything dear."""

from __future__ import annotations

import signal
from pathlib import Path

from otel_accubooks.recorder.folder import StateFolder


def main(path: str) -> int:
    """Runs the exporter of the service whose segments are in the folder `path`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = StateFolder(Path(path))
    try:
        lock = folder.try_lock("exporter")
    except FileNotFoundError:
        return 0
    if lock is None:
        return 0
    from otel_accubooks.export.process import Exporter

    exporter = Exporter(folder)
    exporter.configure()
    exporter.run()
    return 0
