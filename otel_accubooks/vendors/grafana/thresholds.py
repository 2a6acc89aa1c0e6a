"""Thresholds as Grafana's steps: each colours the values from its own on, up to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Threshold as Step

from otel_accubooks.contract.panel import Threshold


def steps(thresholds: Sequence[Threshold], healthy: str) -> list[Step]:
    """`healthy` is the colour where no threshold is passed; the first step begins at no value."""
    bounds = [-math.inf, *sorted({threshold.value for threshold in thresholds})]
    return [
        Step(None if math.isinf(bound) else bound, _colour(bound, thresholds, healthy))
        for bound in bounds
    ]


def _colour(value: float, thresholds: Sequence[Threshold], healthy: str) -> str:
    passed = {
        threshold.colour
        for threshold in thresholds
        if (value < threshold.value if threshold.below else value >= threshold.value)
    }
    return "red" if "red" in passed else "yellow" if passed else healthy
