"""The seasonal model, on series whose future is known."""

import pytest
from accubooks import seasonal

SEASON = [500, -200, 100, 0, -400, 300, 250, -250, 50, -50, 150, -450]


def series(months: int, level: int = 100_000, trend: int = 700) -> list[int]:
    return [level + trend * i + 10 * SEASON[i % 12] for i in range(months)]


@pytest.mark.parametrize("months", [24, 31, 36])
def test_a_regular_series_is_continued_to_the_cent(months):
    """A straight trend with a fixed season is forecast exactly, wherever in the year it ends."""
    model = seasonal.fit(series(months))
    future = series(months + 18)[months:]
    assert [model.forecast(ahead) for ahead in range(1, 19)] == future
    assert model.error_cents == 0


def test_a_forecast_is_the_exact_sum_of_its_parts():
    """Level, trend and season are whole cents and add up to the forecast exactly."""
    noisy = [cents + (i * 7919) % 1301 for i, cents in enumerate(series(36))]
    model = seasonal.fit(noisy)
    for ahead in range(1, 13):
        assert all(isinstance(part, int) for part in model.parts(ahead))
        assert model.forecast(ahead) == sum(model.parts(ahead))


def test_the_same_series_gives_the_same_model():
    """Nothing in the model depends on chance."""
    assert seasonal.fit(series(36)) == seasonal.fit(series(36))


def test_amounts_never_fall_below_zero():
    """A business that shrinks to nothing is forecast at zero, not at negative sales."""
    model = seasonal.fit(series(24, level=100_000, trend=-4_000))
    assert model.forecast(12) == 0


def test_a_series_of_zeros_is_forecast_as_zero():
    """No division by zero for a company that booked nothing."""
    model = seasonal.fit([0] * 24)
    assert (model.forecast(1), model.error_percent) == (0, 0.0)


def test_less_than_two_seasons_is_refused():
    """One year cannot tell a season from chance."""
    with pytest.raises(ValueError, match="23 months given, 24 needed"):
        seasonal.fit(series(23))
