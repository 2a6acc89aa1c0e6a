"""Statistics that a few wild values do not change."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_accubooks.soak.statistics import held, quantile, sigma, trend

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(VALUES, st.floats(0, 1))
def test_a_quantile_lies_among_the_values(values: list[float], q: float) -> None:
    """And no more than its share of them is below."""
    found = quantile(values, q)
    assert min(values) <= found <= max(values)
    assert sum(value < found for value in values) <= math.ceil(q * (len(values) - 1))


def test_a_quantile_of_nothing_is_no_number() -> None:
    """So that it cannot be taken for one."""
    assert math.isnan(quantile([], 0.5))


@given(st.lists(st.floats(-1e3, 1e3), min_size=9, max_size=40), st.integers(0, 39))
def test_one_wild_value_leaves_sigma_within_the_others(values: list[float], index: int) -> None:
    """However wild it is."""
    wild = [*values]
    wild[index % len(values)] = 1e12
    assert sigma(wild) <= 1.4826 * (max(values) - min(values)) * 1.0001


@given(
    level=st.floats(0, 1e9),
    slope=st.floats(-1e4, 1e4),
    count=st.integers(8, 60),
)
def test_the_slope_of_a_line_is_its_slope(level: float, slope: float, count: int) -> None:
    """Of its second half, too."""
    found = trend([(float(at), level + slope * at) for at in range(count)])
    assert found is not None
    assert found.slope == pytest.approx(slope, rel=1e-3, abs=1e-3)
    assert found.late == pytest.approx(slope, rel=1e-3, abs=1e-3)


@given(st.integers(20, 80), st.data())
def test_a_tenth_of_wild_values_hides_no_leak_and_makes_none(
    count: int, data: st.DataObject
) -> None:
    """Both ways."""
    wild = data.draw(st.sets(st.integers(0, count - 1), max_size=count // 10))
    leak = [(float(at), 1e9 if at in wild else 100.0 + at) for at in range(count)]
    still = [(float(at), 1e9 if at in wild else 100.0) for at in range(count)]
    leaking, resting = trend(leak), trend(still)
    assert leaking is not None
    assert resting is not None
    assert leaking.keeps_growing(0.1, 5, 0.6)
    assert not resting.keeps_growing(0.1, 5, 0.6)


def test_what_grew_and_rests_keeps_not_growing() -> None:
    """A cache that has filled is no leak."""
    filled = trend([(float(at), float(min(at, 50))) for at in range(100)])
    assert filled is not None
    assert filled.grown > 20
    assert not filled.keeps_growing(0.1, 5, 0.6)


def test_of_few_points_there_is_no_trend() -> None:
    """Three points make a line of anything."""
    assert trend([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]) is None


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.integers(0, 12), st.booleans())
def test_held_is_what_every_stretch_kept_to(
    values: list[float], seconds: int, highest: bool
) -> None:
    """The least, or the greatest, of each stretch of that length."""
    points = [(float(at), value) for at, value in enumerate(values)]
    extreme = min if highest else max
    expected = [extreme(values[at - seconds : at + 1]) for at in range(seconds, len(values))]
    assert held(points, seconds, highest=highest) == expected
