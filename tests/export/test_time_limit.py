"""What would take for ever in the exporter."""

from __future__ import annotations

import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from otel_accubooks.export.time_limit import time_limit


def test_waiting_for_ever_ends() -> None:
    """Also where what waits takes no time limit itself; the alarms of others are left as they were."""
    before = signal.getsignal(signal.SIGALRM)
    one, other = socket.socketpair()
    with one, other, pytest.raises(TimeoutError, match="took too long"), time_limit(0.1):
        one.recv(1)
    assert signal.getsignal(signal.SIGALRM) is before


def test_in_another_thread_nothing_is_limited() -> None:
    """There no signal arrives."""

    def inside() -> str:
        with time_limit(0.001):
            return "done"

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(inside).result() == "done"


def test_an_alarm_that_comes_too_late_strikes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the end of what was limited and that of its alarm."""
    disarm = signal.setitimer

    def late(which: int, seconds: float, *again: float) -> tuple[float, float]:
        if not seconds:
            signal.raise_signal(signal.SIGALRM)
        return disarm(which, seconds, *again)

    with monkeypatch.context() as patched, time_limit(60):
        patched.setattr(signal, "setitimer", late)
        passed = True
    assert passed
