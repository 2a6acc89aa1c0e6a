"""What has to change in a vendor's account so that it has what the contract says."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Action = Literal["create", "update", "keep", "delete"]


@dataclass(frozen=True)
class Change:
    """One object of the account: what happens to it, and the lines in which it differs.

    `carry_out` makes it so; it raises ApiError. Nothing is to do where the action is "keep".
    """

    action: Action
    kind: str
    name: str
    difference: tuple[str, ...]
    carry_out: Callable[[], None]


def difference(before: Any, after: Any) -> tuple[str, ...]:
    """The lines in which two JSON values differ, as a unified diff; none where they are equal."""
    lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=2)
    return tuple(line for line in lines if not line.startswith(("---", "+++")))


def _lines(value: Any) -> list[str]:
    return [] if value is None else json.dumps(value, indent=2, sort_keys=True).splitlines()
