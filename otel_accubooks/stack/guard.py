"""Ends what a parent started, after the parent has died. A script, with a pipe as its input.

Linux's PR_SET_PDEATHSIG was weighed and left: it fires when the *thread* that forked ends, reaches
the direct child alone, and Python can set it only between fork and exec. A pipe has none of these
flaws and works elsewhere too: the kernel closes the parent's end however the parent dies.
"""

from __future__ import annotations

import os
import signal
import sys
import time

GRACE_SECONDS = 5.0


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; False if there is no such group (any more)."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Read `+<group>` and `-<group>` lines; at the end of the pipe, end the groups left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    deadline = time.monotonic() + GRACE_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if signal_group(group, 0)}
    for group in left:
        signal_group(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
