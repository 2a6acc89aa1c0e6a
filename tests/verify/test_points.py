"""What the points of a series tell of whoever sends them."""

from __future__ import annotations

import pytest

from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.verify.metrics import restless
from otel_accubooks.verify.prometheus import stands_still
from otel_accubooks.verify.source import Spacing, spacing


def sample(*values: float, every: float = 15) -> Sample:
    """A series with these values, one after the other, from time 0 on."""
    return Sample({}, tuple((every * number, value) for number, value in enumerate(values)))


@pytest.mark.parametrize(
    ("values", "still"),
    [
        ((5, 20, 35), False),
        ((5, 5, 5), True),
        ((5, 6, 7), True),
        ((100, 1, 16), False),
    ],
)
def test_an_uptime_that_does_not_grow(values: tuple[float, ...], still: bool) -> None:
    """Somebody repeats what a dead application last said; one that was started anew does not."""
    assert stands_still(sample(*values)) == still


@pytest.mark.parametrize(
    ("values", "found"),
    [((1, 2, 3, 3), False), ((7, 8, 0, 1), False), ((7, 3, 8, 4), True)],
)
def test_a_counter_that_begins_anew_again_and_again(values: tuple[float, ...], found: bool) -> None:
    """Once is a restart; more often it is two processes under one name."""
    assert restless(sample(*values)) == found


def test_spacing_wants_three_points() -> None:
    """Half of the gaps tell the interval; one that is wide is told on its own."""
    assert spacing(sample(1, 2), 20) is None
    points = Sample({}, ((0, 1), (15, 1), (30, 1), (90, 1)))
    assert spacing(points, 100) == Spacing(typical=15, widest=60, age=10, points=4)
