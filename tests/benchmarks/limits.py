"""What a request may cost with everything on: instructions over the bare application, by route."""

from __future__ import annotations

from collections.abc import Mapping

LIMITS: Mapping[str, int] = {"plain": 25_000, "db": 40_000, "mix": 70_000}
