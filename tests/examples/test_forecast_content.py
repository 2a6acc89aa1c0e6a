"""What a stored forecast holds, and what the trust layer makes of it."""

from datetime import date

import pytest
from accubooks import trust
from accubooks.forecasts import InsufficientHistory, changed, forecast
from accubooks.ledger import Month


def months(count: int, wobble: int = 0) -> list[Month]:
    """Months from January 2023 on: rising income with a peak each December, steady expenses."""
    return [
        Month(
            date(2023 + i // 12, i % 12 + 1, 1),
            100_000 + 500 * i + (40_000 if i % 12 == 11 else 0) + wobble * (i % 5),
            60_000 + wobble * (i % 3),
        )
        for i in range(count)
    ]


def test_the_coming_months_follow_the_last_booked_one():
    """Months are named in order, over the turn of the year, as many as were asked for."""
    names = [month["month"] for month in forecast(months(34), 4)["months"]]
    assert names == ["2025-11", "2025-12", "2026-01", "2026-02"]


def test_net_is_income_less_expense_in_whole_cents():
    """Each month's three numbers are integers that fit together."""
    for month in forecast(months(36, wobble=777), 12)["months"]:
        assert month["net_cents"] == month["income_cents"] - month["expense_cents"]
        assert isinstance(month["net_cents"], int)


def test_a_scenario_changes_both_sides_by_its_percents():
    """Ten percent more income and five percent less expense are exactly that."""
    plain, better = forecast(months(36), 3), forecast(months(36), 3, 10, -5)
    for before, after in zip(plain["months"], better["months"], strict=True):
        assert after["income_cents"] == changed(before["income_cents"], 10)
        assert after["expense_cents"] == changed(before["expense_cents"], -5)


@pytest.mark.parametrize(
    ("cents", "percent", "result"), [(1000, 10, 1100), (5, 10, 6), (4, 10, 4), (99, -100, 0)]
)
def test_a_percent_is_rounded_to_the_nearest_cent(cents, percent, result):
    """Half a cent is rounded up."""
    assert changed(cents, percent) == result


def test_a_young_ledger_is_refused():
    """The message says how much there is and how much is needed."""
    with pytest.raises(InsufficientHistory, match="has 9 months, a forecast needs at least 24"):
        forecast(months(9), 3)


def test_the_explanation_adds_up_to_the_forecast():
    """Who adds the parts of a step and applies the percent gets the very number of the forecast."""
    result = forecast(months(36, wobble=333), 6, 10, 0)
    steps = trust.explanation(result)["steps"]
    for step, month in zip(steps, result["months"], strict=True):
        income = step["income"]
        total = income["level_cents"] + income["trend_cents"] + income["season_cents"]
        assert changed(total, income["change_percent"]) == month["income_cents"]


def test_the_assumptions_carry_the_numbers_of_this_forecast():
    """History and scenario are named as they were, not in general terms."""
    texts = " ".join(trust.assumptions(forecast(months(36), 3, 7, 0))["assumptions"])
    assert "36 months from 2023-01 to 2025-12" in texts
    assert "7 percent" in texts


def test_a_regular_past_earns_full_confidence():
    """Without an error in the past the score is 100 and the range has no width."""
    said = trust.confidence(forecast(months(36), 3))
    assert (said["score"], said["label"]) == (100, "high")
    assert all(month["low_cents"] == month["high_cents"] for month in said["net_range_8_of_10"])


def test_an_irregular_past_widens_the_range():
    """The range holds the forecast and grows with the distance."""
    result = forecast(months(36, wobble=9_000), 3)
    said = trust.confidence(result)
    assert said["score"] < 100
    ranges = said["net_range_8_of_10"]
    widths = [month["high_cents"] - month["low_cents"] for month in ranges]
    assert 0 < widths[0] < widths[1] < widths[2]
    assert ranges[0]["low_cents"] < result["months"][0]["net_cents"] < ranges[0]["high_cents"]
