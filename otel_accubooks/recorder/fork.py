"""Noticing a fork at the price of reading one integer."""

from __future__ import annotations

import mmap
import os
import sys

_MADV_WIPEONFORK = 18  # Linux 4.14; the mmap module has no name for it


def _page() -> memoryview:
    """One integer that is 0 in a forked child, with or without Python's fork hooks.

    uWSGI forks without running `os.register_at_fork` hooks, so the kernel is asked to wipe the page;
    where it cannot, the hook does it.
    """
    if sys.platform == "linux":  # the number means something else, or nothing, elsewhere
        try:
            page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(_MADV_WIPEONFORK)
            return memoryview(page).cast("I")
        except (AttributeError, OSError, ValueError):
            pass
    return memoryview(bytearray(4)).cast("I")


# generation[0] is the number of the segment that this process records into, 0 while it has none.
generation = _page()


def _after_in_child() -> None:
    generation[0] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)
