"""The gauges that each checkout of a connection changes, in Python.

Where it could be built, `_pool_gauges.c` takes the place of it, and does what it does.
"""

from __future__ import annotations

from collections.abc import Sized

from otel_accubooks.recorder.series import Gauge


def show(  # noqa: PLR0917 - as a call of C
    taken: Sized, idle: Sized, most: int | None, active: Gauge, utilization: Gauge, opened: Gauge, /
) -> None:
    """Sets the gauges of a pool to what its containers say now.

    No lock: whoever sets last reads again, so what stands in the end is what is.
    """
    while True:
        used, rest = len(taken), len(idle)
        active.set(used)
        if most:
            utilization.set(100.0 * used / most)
        opened.set(used + rest)
        if len(taken) == used and len(idle) == rest:
            return
