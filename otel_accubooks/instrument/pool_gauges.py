"""The gauges that each checkout of a connection changes, in Python.

Where it could be built, `_pool_gauges.c` takes the place of it, and does what it does.
"""

from __future__ import annotations

from collections.abc import Sized

from otel_accubooks.recorder.series import Gauge

# Of a pool: what holds those that are checked out, what holds those that are idle, and how many it may
# open (None: as many as it is asked for).
Parts = tuple[Sized, Sized, "int | None"]


def show(parts: tuple[Parts, ...], active: Gauge, utilization: Gauge, opened: Gauge, /) -> None:
    """Sets the gauges of a database to what the containers of its pools say now.

    No lock: whoever sets last reads again, so what stands in the end is what is.
    """
    shown = None
    while shown != (shown := _look(parts)):
        used, idle, share = shown
        active.set(used)
        if share is not None:
            utilization.set(share)
        opened.set(used + idle)


def _look(parts: tuple[Parts, ...]) -> tuple[int, int, float | None]:
    used = idle = 0
    share: float | None = None
    for taken, waiting, most in parts:
        out = len(taken)
        used += out
        idle += len(waiting)
        if most:
            share = max(share or 0.0, 100.0 * out / most)
    return used, idle, share
