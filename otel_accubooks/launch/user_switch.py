"""A server that root starts and whose processes become another user, as by `gunicorn --user`.

Just before a process gives up root's rights, the folder of the service goes to the user that it
becomes, so that all of them share one folder, the one that root began. A server that switches before
it runs Python, as uWSGI does, needs none of this.
"""

from __future__ import annotations

import functools
import os
from logging import getLogger
from typing import Any

from otel_accubooks.recorder.folder import StateFolder

_log = getLogger("otel_accubooks")

# Which argument is the user whose rights a process has from then on.
_EFFECTIVE = {"setuid": 0, "seteuid": 0, "setreuid": 1, "setresuid": 1}
_told = False


def hand_over_with_user(folder: StateFolder) -> None:
    """Watches for a switch of user, where this process is root's."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    for name, position in _EFFECTIVE.items():
        if hasattr(os, name):
            setattr(os, name, _switching(getattr(os, name), position, folder))


def _switching(original: Any, position: int, folder: StateFolder) -> Any:
    @functools.wraps(original)
    def switch(*ids: Any) -> Any:
        if os.geteuid() == 0:
            _hand_over(folder, ids[position] if position < len(ids) else 0)
        return original(*ids)

    return switch


def _hand_over(folder: StateFolder, user: Any) -> None:
    global _told
    if not isinstance(user, int) or user <= 0:
        return  # no switch, or none that works
    try:
        folder.hand_over(user)
    except OSError as error:
        if not _told:
            _told = True
            _log.warning("otel-accubooks: %s", error)
