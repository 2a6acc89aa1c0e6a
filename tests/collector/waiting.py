"""Waits until what was sent has arrived: for as long as it takes, and not longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(read: Callable[[], T], expected: T, seconds: float = 45) -> None:
    """Read until it is what is expected; after `seconds`, fail and show the difference."""
    deadline = time.monotonic() + seconds
    while (actual := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert actual == expected
