"""Addresses as they may be shown: who has a password in one finds it in no message and no report."""

from __future__ import annotations

import re

_USER = re.compile(r"(://)[^/\s]+@")


def without_passwords(text: str) -> str:
    """The text, with … for user and password of each address in it."""
    return _USER.sub(r"\1…@", text)
