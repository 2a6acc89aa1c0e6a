"""Readings as figures."""

from __future__ import annotations

import pytest

from otel_accubooks.contract.dashboards import DASHBOARDS, OPERATIONS
from otel_accubooks.contract.panel import Panel, Threshold
from otel_accubooks.viewer import figures
from otel_accubooks.viewer.panels import alert_of
from otel_accubooks.viewer.reading import Group, Reading

YELLOW, RED = Threshold(70, "yellow"), Threshold(90, "red")
TOO_LOW = Threshold(70, "red", below=True)


def reading(*groups: Group, limits: tuple[Threshold, ...] = (), unit: str = "ms") -> Reading:
    return Reading(Panel("Title", "lines", unit, (), limits), 1_700_000_000, 15, groups)


@pytest.mark.parametrize(
    ("value", "limits", "colour"),
    [
        (70, (YELLOW, RED), None),
        (70.1, (YELLOW, RED), "yellow"),
        (90.1, (YELLOW, RED), "red"),
        (69.9, (TOO_LOW,), "red"),
        (70, (TOO_LOW,), None),
        (None, (YELLOW, RED), None),
    ],
)
def test_a_value_beyond_a_limit_colours_its_panel(
    value: float | None, limits: tuple[Threshold, ...], colour: str | None
) -> None:
    """As the alert decides: beyond, not at."""
    assert figures.limit_of(value, limits) == colour


def test_limits_near_the_curve_are_drawn() -> None:
    """Each as a line of its colour, within the axis."""
    figure = figures.lines(reading(Group("p95", (40.0, 60.0)), limits=(YELLOW, RED)))
    drawn = [(shape["y0"], shape["line"]["color"]) for shape in figure["layout"]["shapes"]]
    assert drawn == [(70, figures.LIMITS["yellow"]), (90, figures.LIMITS["red"])]
    assert figure["layout"]["yaxis"]["range"][1] > 90


def test_a_limit_far_above_does_not_flatten_the_curve() -> None:
    """Twenty requests a second are to be seen beside a limit of a thousand."""
    figure = figures.lines(reading(Group("p95", (20.0,)), limits=(Threshold(1000, "yellow"),)))
    assert figure["layout"]["shapes"] == []
    assert figure["layout"]["yaxis"]["range"][1] < 30


def test_bars_of_one_step_stand_beside_each_other() -> None:
    """A day's tickets in a day's range: one bar for each priority."""
    figure = figures.bars(reading(Group("high", (3.0,)), Group("low", (5.0,))))
    assert (figure["data"][0]["x"], figure["data"][0]["y"]) == (["high", "low"], [3.0, 5.0])


def test_bars_of_several_steps_are_stacked() -> None:
    """The axis has room for the sum."""
    figure = figures.bars(reading(Group("FREE", (3.0, 4.0)), Group("PRO", (5.0, None))))
    assert figure["layout"]["barmode"] == "stack"
    assert figure["layout"]["yaxis"]["range"][1] >= 8


def test_a_name_is_text_and_nothing_else() -> None:
    """Plotly would take a tag for its own."""
    figure = figures.lines(reading(Group("<b>bold</b>", (1.0,))))
    assert figure["data"][0]["name"] == "&lt;b>bold&lt;/b>"


def test_every_limit_of_the_contract_is_an_alert_s() -> None:
    """So that each links to a runbook."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            assert all(alert_of(panel, limit) for limit in panel.thresholds), panel.title
    (latency,) = (panel for panel in OPERATIONS.panels if panel.title == "Latency")
    assert alert_of(latency, latency.thresholds[0]).name == "HighLatency"
