"""Grafana's answers to queries: data frames."""

from __future__ import annotations

import math
from typing import Any


def samples(answer: dict[str, Any]) -> list[tuple[dict[str, str], float]]:
    """The numbers in an answer's data frames, each with its labels; those that are none are left out."""
    found = []
    for frame in answer.get("frames") or ():
        columns = (frame.get("data") or {}).get("values") or []
        for field, column in zip(frame["schema"]["fields"], columns, strict=False):
            if field.get("type") == "number":
                found += [
                    (field.get("labels") or {}, float(value))
                    for value in column
                    # Not a number comes as null.
                    if isinstance(value, (int, float)) and math.isfinite(value)
                ]
    return found
