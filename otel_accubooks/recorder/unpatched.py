"""Functions as they are before gevent or a server may patch them: to be imported where a process starts."""

from __future__ import annotations

import os
from _thread import RLock, allocate_lock, start_new_thread
from os import waitpid
from time import sleep
from typing import Any

__all__ = ["RLock", "allocate_lock", "posix_spawn", "sleep", "start_new_thread", "waitpid"]

posix_spawn: Any = getattr(os, "posix_spawn", None)  # where there is none, nothing is shared
