"""The exporter's first steps: it is elected before it imports anything dear."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.locks import ExporterLock

# Whoever answers a request goes first where there are fewer processors than there is to do. It still gets a
# tenth of one that is never idle, several times what it needs.
NICENESS = 10


def main(path: str) -> int:
    """Runs the exporter of the service whose segments are in the folder `path`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    _step_back()
    folder = StateFolder(Path(path))
    lock = ExporterLock(folder)
    if not _elected(lock):
        return 0
    from otel_accubooks.export.process import Exporter

    exporter = Exporter(folder, lock)
    exporter.configure()
    exporter.run()
    return 0


def _step_back() -> None:
    os.nice(NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        try:
            # It interrupts nobody who is at work when it goes on after a pause (sched(7)).
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        except OSError:
            pass  # forbidden to this process, say by a seccomp filter


def _elected(lock: ExporterLock) -> bool:
    # Tried for a moment, since whoever looks whether there is an exporter holds the lock meanwhile.
    for _ in range(10):
        try:
            if lock.take():
                return True
        except FileNotFoundError:
            return False  # the service has ended, and its folder is gone
        time.sleep(0.01)
    return False
