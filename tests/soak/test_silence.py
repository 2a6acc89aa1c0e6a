"""When something was heard, and when not."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_accubooks.soak.silence import Heard, episodes, heard, interval, most_within, resets


def of(times: list[float], end: float) -> Heard:
    return heard(times, 0.0, end, 15.0, intervals=3, least=15)


@given(st.lists(st.floats(-4, 4), min_size=4, max_size=200))
def test_what_comes_with_jitter_has_no_gap_and_misses_nothing(jitter: list[float]) -> None:
    """Machines are never on time."""
    times = [15.0 * number + late for number, late in enumerate(jitter)]
    found = of(times, times[-1])
    assert (found.gaps, found.missing) == ((), 0)


@given(st.integers(10, 100), st.data())
def test_a_planted_gap_is_found_where_it_is(count: int, data: st.DataObject) -> None:
    """At the beginning, in the middle, at the end."""
    first = data.draw(st.integers(0, count - 4))
    last = data.draw(st.integers(first + 3, count))
    times = [15.0 * at for at in range(count + 1) if not first <= at <= last]
    if not times:
        return
    since = max((at for at in times if at < 15.0 * first), default=0.0)
    until = min((at for at in times if at > 15.0 * last), default=15.0 * count)
    found = of(times, 15.0 * count)
    expected = ((since, until),) if until - since > 45 else ()
    assert found.gaps == expected


@given(st.integers(20, 100), st.data())
def test_points_missing_one_by_one_are_counted(count: int, data: st.DataObject) -> None:
    """None of them is a gap."""
    gone = data.draw(st.sets(st.integers(1, count // 2 - 1).map(lambda n: 2 * n), max_size=9))
    times = [15.0 * at for at in range(count + 1) if at not in gone]
    found = of(times, 15.0 * count)
    assert found.gaps == ()
    assert found.missing == len(gone)


def test_silence_all_the_time_is_one_gap() -> None:
    """From the beginning to the end."""
    assert of([], 100.0).gaps == ((0.0, 100.0),)


def test_the_interval_is_the_usual_one() -> None:
    """An outage does not change it, and of two points there is none."""
    assert interval([0, 2, 4, 6, 100, 102, 104], 15) == 2
    assert interval([0, 9], 15) == 15


@given(st.lists(st.integers(1, 30), min_size=1, max_size=50))
def test_episodes_keep_every_moment_and_are_apart(steps: list[int]) -> None:
    """Each is a row of moments no further than three intervals from each other."""
    times = [float(at) for at in itertools.accumulate(steps)]
    found = episodes(times, 5.0)
    assert all(any(since <= at <= to for since, to in found) for at in times)
    assert all(after[0] - before[1] > 15 for before, after in itertools.pairwise(found))


@pytest.mark.parametrize(("seconds", "most"), [(50, 2), (101, 3), (10, 1)])
def test_the_most_within_a_time_are_counted(seconds: float, most: int) -> None:
    """By when they began."""
    assert most_within([(0, 5), (40, 45), (100, 105), (300, 301)], seconds) == most


@given(st.lists(st.integers(0, 9), max_size=50))
def test_a_total_began_anew_wherever_it_fell(values: list[int]) -> None:
    """And nowhere else."""
    points = [(float(at), float(value)) for at, value in enumerate(values)]
    falls = [at for at in range(1, len(values)) if values[at] < values[at - 1]]
    assert resets(points) == falls
