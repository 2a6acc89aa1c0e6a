"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_accubooks.viewer.units import axis_texts, short, spelled, text, ticks


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0, "ms", "0 ms"),
        (48.83, "ms", "48.8 ms"),
        (1234.5, "ms", "1.23 s"),
        (0.042, "s", "42 ms"),
        (90.0, "s", "90 s"),
        (600.0, "s", "10 min"),
        (10800.0, "s", "3 h"),
        (70.608, "%", "70.6 %"),
        (0.05, "%", "0.05 %"),
        (1529583.9, "By/s", "1.53 MB/s"),
        (999.7, "By/s", "1 kB/s"),
        (1.0, "{user}", "1 user"),
        (1190.0, "{forecast}", "1,190 forecasts"),
        (12345.0, "{user}", "12.3 k users"),
        (70.675, "{request}/s", "70.7 requests/s"),
        (1.0, "{key}/min", "1 keys/min"),
        (-33.333, "1", "-33.3"),
    ],
)
def test_a_number_has_three_digits_and_its_unit(value: float, unit: str, shown: str) -> None:
    assert text(value, unit) == shown


def test_an_axis_leaves_the_noun_to_the_head_of_its_panel() -> None:
    """Short is without it, spelled is it alone."""
    assert short(12345.0, "{request}/s") == "12.3 k"
    assert spelled("{request}/s") == "requests/s"
    assert (spelled("{query}"), spelled("{key}/min")) == ("queries", "keys/min")


def test_an_axis_has_one_unit() -> None:
    """Round in minutes where minutes are shown; never seconds below minutes."""
    values = ticks(190.0, "s")
    assert axis_texts(values, "s") == ["0 min", "1 min", "2 min", "3 min", "4 min"]
    assert axis_texts(ticks(1000.0, "ms"), "ms")[1] == "0.25 s"
    assert axis_texts([0, 5000, 10000], "{hit}/h") == ["0 k", "5 k", "10 k"]
    assert axis_texts([0, 5e5, 1e6], "By/s") == ["0 MB/s", "0.5 MB/s", "1 MB/s"]
    assert axis_texts([0, 50, 100], "%") == ["0 %", "50 %", "100 %"]


@given(st.floats(1e-6, 1e12), st.sampled_from(["s", "ms", "%", "{user}", "By/s"]))
def test_ticks_reach_from_zero_over_the_highest_value(most: float, unit: str) -> None:
    """From 0, rising, few, and not far above what is shown."""
    values = ticks(most, unit)
    assert values[0] == 0
    assert values == sorted(set(values))
    assert most * (1 - 1e-6) <= values[-1] <= 2 * most
    assert 3 <= len(values) <= 6
