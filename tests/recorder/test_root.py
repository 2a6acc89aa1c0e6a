"""How long a service has run."""

from __future__ import annotations

import os
import time

from otel_accubooks.recorder.root import Root


def test_its_age_is_not_the_clocks() -> None:
    """Whoever sets the clock, by hours back or forth, a process is as old as it is."""
    mine = Root.of_this_process()
    now = time.time()
    ages = [mine.age(now + step) for step in (0.0, -50_000.0, 50_000.0)]
    assert max(ages) - min(ages) < 10_000
    assert min(ages) > 0


def test_without_ticks_it_is_never_negative() -> None:
    """Where the system does not tell when a process was started, the clock is asked."""
    root = Root(os.getpid(), 0, 1000.0)
    assert root.age(1060.0) == 60
    assert root.age(900.0) == 0
