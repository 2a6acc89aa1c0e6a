"""What the benchmarks of freshness, growth and tail make of what they measured."""

from __future__ import annotations

import pytest

from tests.benchmarks import freshness, growth, tail

PAGE = """\
# TYPE http_requests_total counter
http_requests_total{route="/"} 3
http_requests_total{route="/x"} 1
# TYPE http_request_duration_ms histogram
http_request_duration_ms_bucket{le="1"} 2
http_request_duration_ms_bucket{le="+Inf"} 3
http_request_duration_ms_sum 4.5
http_request_duration_ms_count 3
"""


def test_an_event_is_seen_with_the_count_that_it_is_part_of() -> None:
    """Several may be seen at once, and what was counted before them is left out."""
    seen = [(99.0, 40.0), (101.5, 42.0), (103.0, 43.0)]
    assert freshness.delays([100.0, 101.0, 102.0], seen) == [1.5, 0.5, 1.0]


def test_an_event_that_is_never_seen_is_no_short_one() -> None:
    """It makes the measurement void, as one that came from elsewhere does."""
    with pytest.raises(ValueError, match="2 events happened, and 1 were seen"):
        freshness.delays([100.0, 101.0], [(99.0, 0.0), (101.5, 1.0)])


def test_a_quantile_is_a_value_that_was_measured() -> None:
    """The least that is not below the share, of any number of values."""
    hundred = [float(n) for n in range(100, 0, -1)]
    assert tail.quantile(hundred, 0.99) == 99.0
    assert tail.quantile(hundred, 0.5) == 50.0
    assert tail.quantile(hundred, 0.999) == 100.0
    assert tail.quantile([7.0], 0.5) == 7.0


def test_rounds_are_compared_with_those_beside_them() -> None:
    """A slow moment of the machine, which both rounds have, is in no difference."""
    assert tail.by_round([[3.0], [103.0], [4.0]], [[2.0], [101.0], [2.0]], 0.99) == 2.0
    assert growth.over_in_rounds([3.0, 103.0, 4.0], [2.0, 101.0, 2.0]) == (1.0, 2.0)


def test_a_histogram_is_one_series_however_many_lines_it_has() -> None:
    """Its buckets and its sum are not counted beside it."""
    assert tail.series_on(PAGE) == 3
