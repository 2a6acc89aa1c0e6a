"""Lengths of time in and out."""

import pytest

from otel_accubooks.soak.duration import parse, spoken


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86400), ("2d", 172800), ("1.5h", 5400)]
)
def test_a_length_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    """As Prometheus writes them."""
    assert parse(text) == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1h30m", "1w", "0s", "1 h", "1e9s"])
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    """With what was found and what was expected."""
    with pytest.raises(
        ValueError, match="is no length of time; expected a number and s, m, h or d"
    ):
        parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (86399.7, "1 d"),
        (93784, "1 d 2 h"),
    ],
)
def test_it_is_spoken_in_its_two_largest_units(seconds: float, text: str) -> None:
    """More nobody wants to know."""
    assert spoken(seconds) == text
