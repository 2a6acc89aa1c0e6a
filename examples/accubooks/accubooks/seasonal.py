"""Additive Holt-Winters over monthly totals: level, trend and one season of twelve months.

Whole cents go in and whole cents come out, and a forecast is the exact sum of its stored parts, so
that anybody can check it by hand. Source: Hyndman and Athanasopoulos, Forecasting: Principles and
Practice, 3rd edition, section 8.3.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

PERIOD = 12
WEIGHTS = (0.1, 0.3, 0.5)  # tried for each of alpha, beta and gamma; the smallest error wins


@dataclass(frozen=True)
class Model:
    alpha: float
    beta: float
    gamma: float
    level_cents: int
    trend_cents: int  # a month
    season_cents: list[int]  # the next twelve months, in their order
    error_cents: int  # root mean square of the one-month-ahead errors
    error_percent: float  # of the mean of the same months

    def parts(self, ahead: int) -> tuple[int, int, int]:
        """Level, trend and season of the month that is so many ahead (1 is the next)."""
        return (
            self.level_cents,
            self.trend_cents * ahead,
            self.season_cents[(ahead - 1) % PERIOD],
        )

    def forecast(self, ahead: int) -> int:
        """Cents of that month, never below zero: money in and money out are counted apart."""
        return max(0, sum(self.parts(ahead)))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def fit(series: Sequence[int]) -> Model:
    """The best model for these monthly cents. Raises ValueError for fewer than two seasons."""
    if len(series) < 2 * PERIOD:
        raise ValueError(f"{len(series)} months given, {2 * PERIOD} needed")
    return min(
        (_smooth(series, *weights) for weights in product(WEIGHTS, repeat=3)),
        key=lambda model: model.error_cents,
    )


def _smooth(series: Sequence[int], alpha: float, beta: float, gamma: float) -> Model:
    first = sum(series[:PERIOD]) / PERIOD
    second = sum(series[PERIOD : 2 * PERIOD]) / PERIOD
    trend = (second - first) / PERIOD
    middle = (PERIOD - 1) / 2
    level = first + trend * middle
    season = [series[i] - (first + trend * (i - middle)) for i in range(PERIOD)]
    errors = []
    for i in range(PERIOD, len(series)):
        old_level, old_season = level, season[i % PERIOD]
        errors.append(series[i] - (old_level + trend + old_season))
        level = alpha * (series[i] - old_season) + (1 - alpha) * (old_level + trend)
        season[i % PERIOD] = gamma * (series[i] - old_level - trend) + (1 - gamma) * old_season
        trend = beta * (level - old_level) + (1 - beta) * trend
    error = math.sqrt(sum(e * e for e in errors) / len(errors))
    mean = sum(series[PERIOD:]) / len(errors)
    start = len(series) % PERIOD
    return Model(
        alpha,
        beta,
        gamma,
        level_cents=round(level),
        trend_cents=round(trend),
        season_cents=[round(cents) for cents in season[start:] + season[:start]],
        error_cents=round(error),
        error_percent=round(100 * error / mean, 1) if mean else 0.0,
    )
