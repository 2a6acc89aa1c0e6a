"""How long a test alert is looked for at its stations, and what is said of one where it was not seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otel_accubooks.servers.api import ApiError
from otel_accubooks.trial.hop import Hop
from otel_accubooks.trial.station import Elsewhere, Station, Trial, Unreadable, follow
from otel_accubooks.trial.test_alert import whole


def station(name: str, look: Callable[[], str | None]) -> Station:
    return Station(name, look, lambda: "it should have come", look)


def raising(error: Exception) -> Callable[[], str | None]:
    def look() -> str | None:
        raise error

    return look


def states(*stations: Station, limit: float = 0.0) -> dict[str, tuple[str, str]]:
    hops = follow(Trial(), stations, limit, lambda: None)
    return {hop.name: (hop.state, hop.said) for hop in hops}


def test_what_is_seen_late_is_told_late() -> None:
    """The others do not wait for it, and it is looked for until it is there."""
    looks = iter([None, "there"])
    late = station("late", lambda: next(looks))
    meanwhile: list[int] = []
    hops = list(
        follow(Trial(), [late, station("early", lambda: "here")], 60, lambda: meanwhile.append(1))
    )
    assert [(hop.name, hop.said) for hop in hops] == [("early", "here"), ("late", "there")]
    assert hops[0].seconds is not None
    assert hops[1].seconds is not None
    assert meanwhile == [1]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Unreadable("no token"), "unseen"),
        (Elsewhere("another mailbox"), "unseen"),
        (ApiError("nobody answers"), "missing"),
    ],
)
def test_why_it_was_not_seen_decides_what_is_said(error: Exception, state: str) -> None:
    """Where nobody can look it may have arrived; where nothing answers it has not."""
    assert states(station("slack", raising(error))) == {"slack": (state, str(error))}


def test_what_never_comes_is_missing() -> None:
    """It says what was expected."""
    state, said = states(station("slack", lambda: None))["slack"]
    assert state == "missing"
    assert said.endswith("it should have come")


def test_two_runs_have_two_numbers() -> None:
    """What is told of one is nothing of the other."""
    first, second = Trial(), Trial()
    assert first.number != second.number
    title = f"[FIRING] test TestAlert {first.number} of books"
    assert first.told(title, over=False)
    assert not first.told(title, over=True)
    assert not second.told(title, over=False)


@pytest.mark.parametrize(
    ("state", "watchdog", "expected"),
    [
        ("arrived", None, True),
        ("missing", None, False),
        ("unseen", None, False),
        ("unseen", "arrived", True),
        ("unseen", "missing", False),
        ("missing", "arrived", False),
    ],
)
def test_the_whole_way_has_to_be_seen(state: str, watchdog: str | None, expected: bool) -> None:
    """Watchdog stands for the part before Alertmanager where there was no way to try it."""
    hops = [Hop("gateway", state, ""), Hop("slack", "arrived", "")]  # type: ignore[arg-type]
    if watchdog:
        hops.append(Hop("Watchdog", watchdog, ""))  # type: ignore[arg-type]
    assert whole(hops) is expected


def test_watchdog_stands_for_no_channel() -> None:
    """Nothing at all is not the whole way either."""
    assert not whole([])
    assert not whole([Hop("Watchdog", "arrived", ""), Hop("phone", "unseen", "", None, "phone")])
