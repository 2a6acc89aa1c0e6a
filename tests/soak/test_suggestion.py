"""What is suggested for a threshold, and what never is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_accubooks.contract.query import DAY, HOUR
from otel_accubooks.soak.statistics import quantile
from otel_accubooks.soak.suggestion import LEAST_VALUES, Suggestion, suggest

SEEN = st.lists(st.floats(0, 1000), min_size=LEAST_VALUES, max_size=LEAST_VALUES + 20)
THRESHOLD = st.floats(0.1, 1000)


def above(values: list[float], threshold: float, *, percent: bool = False) -> Suggestion:
    return suggest(values, threshold, ">", seconds=DAY, percent=percent)


def below(values: list[float], threshold: float, *, percent: bool = False) -> Suggestion:
    return suggest(values, threshold, "<", seconds=DAY, percent=percent)


@settings(max_examples=30)
@given(SEEN, THRESHOLD)
def test_what_is_suggested_is_quiet_at_what_is_usual(values: list[float], threshold: float) -> None:
    """On either side."""
    if (found := above(values, threshold).value) is not None:
        assert found > quantile(values, 0.995)
    if (found := below(values, threshold).value) is not None:
        assert found < quantile(values, 0.005)


@settings(max_examples=30)
@given(SEEN, THRESHOLD, st.booleans())
def test_what_is_suggested_is_what_people_may_accept(
    values: list[float], threshold: float, percent: bool
) -> None:
    """Not far from the contract's, and no share beyond the whole."""
    for found in (
        above(values, threshold, percent=percent),
        below(values, threshold, percent=percent),
    ):
        if found.value is not None:
            assert 0.1 * threshold <= found.value <= 2 * threshold
            assert not percent or found.value <= 100


@settings(max_examples=30)
@given(SEEN, THRESHOLD)
def test_a_threshold_beyond_which_all_is_usual_is_never_kept(
    values: list[float], threshold: float
) -> None:
    """It fires without need, and that is said."""
    usual = [threshold + 1 + value for value in values]
    assert above(usual, threshold).advice in ("raise", "mend")


@settings(max_examples=30)
@given(SEEN, THRESHOLD)
def test_taken_over_it_is_not_moved_further_out(values: list[float], threshold: float) -> None:
    """Whoever follows a raise is not told the next day to raise it again."""
    found = above(values, threshold)
    if found.advice == "raise" and found.value is not None:
        assert above(values, found.value).advice == "keep"


@pytest.mark.parametrize(
    ("usual", "threshold", "advice", "value"),
    [
        (40, 1000, "lower", 100),  # never less than a tenth
        (600, 1000, "keep", None),
        (1200, 1000, "raise", 1500),
        (5000, 1000, "mend", None),
    ],
)
def test_latencies(usual: float, threshold: float, advice: str, value: float | None) -> None:
    """In words: lower, keep, raise, mend."""
    found = above([usual] * LEAST_VALUES, threshold)
    assert (found.advice, found.value) == (advice, value)


def test_a_hit_rate_is_looked_at_from_below() -> None:
    """Where fewer are usual than the threshold, it is moved down."""
    found = below([60.0] * LEAST_VALUES, 70, percent=True)
    assert (found.advice, found.value) == ("lower", 45)


@pytest.mark.parametrize(
    ("count", "seconds"), [(LEAST_VALUES - 1, DAY), (10 * LEAST_VALUES, 11 * HOUR), (0, DAY)]
)
def test_too_little_suggests_nothing_and_says_so(count: int, seconds: float) -> None:
    """Neither of few values nor of a short time."""
    found = suggest([5.0] * count, 1, ">", seconds=seconds)
    assert (found.advice, found.value) == ("too little", None)
    assert "are needed" in found.reason


def test_what_never_happened_says_nothing_of_its_threshold() -> None:
    """No error in a day does not mean that one is too many."""
    assert above([0.0] * LEAST_VALUES, 5).advice == "keep"
