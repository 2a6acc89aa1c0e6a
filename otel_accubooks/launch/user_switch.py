"""A server that root starts and whose processes become another user, as by `gunicorn --user`.

Just before a process gives up root's rights, the folder of the service goes to the user that it
becomes, so that all of them share one folder, the one that root began. A server that switches before
it runs Python, as uWSGI does, needs none of this.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_accubooks.recorder.folder import StateFolder

_log = getLogger("otel_accubooks")

# How many users they take. Where one of them stays root, the process may come back: that is no switch.
_FOR_GOOD = {"setuid": 1, "setreuid": 2, "setresuid": 3}
Find = Callable[[], "StateFolder | None"]
_told = False


def hand_over_with_user(find: Find) -> None:
    """Watches for a switch of user, where this process is root's. `find` tells the folder then."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    for name, count in _FOR_GOOD.items():
        if hasattr(os, name):
            setattr(os, name, _switching(getattr(os, name), count, find))


def _switching(original: Any, count: int, find: Find) -> Any:
    @functools.wraps(original)
    def switch(*users: Any) -> Any:
        for_good = len(users) == count and all(isinstance(u, int) and u > 0 for u in users)
        if for_good and os.geteuid() == 0:
            _hand_over(find, users[-1])
        return original(*users)

    return switch


def _hand_over(find: Find, user: int) -> None:
    global _told
    try:
        folder = find()
        if folder is not None:
            folder.hand_over(user)
    except Exception as error:
        if not _told:
            _told = True
            _log.warning("otel-accubooks: %s", error)
