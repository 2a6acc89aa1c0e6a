"""A dead-man's switch: silent while the heart beats, it calls when that stops, and says when it is back."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from conftest import eventually

from otel_accubooks.stack.dead_mans_switch import INCIDENT, DeadMansSwitch
from otel_accubooks.stack.pager_sink import PagerSink
from tests.stack.test_webhook_sink import GROUP

PATIENCE = 30.0


@pytest.fixture
def pager() -> Iterator[PagerSink]:
    with PagerSink() as started:
        yield started


def beat(switch: DeadMansSwitch) -> None:
    httpx.post(f"{switch.url}/beat", json=GROUP, trust_env=False).raise_for_status()


def test_it_calls_when_the_heart_stops_and_says_when_it_beats(pager: PagerSink) -> None:
    """One incident, opened by the silence and closed by the next beat."""
    with DeadMansSwitch(1, f"{pager.url}/v2/enqueue") as switch:
        beat(switch)
        assert eventually(lambda: pager.incidents() == {INCIDENT: "triggered"}, PATIENCE)
        assert switch.late
        switch.patience = 3600
        beat(switch)
        assert eventually(lambda: pager.incidents() == {INCIDENT: "resolved"}, PATIENCE)
        assert not switch.late
    assert [event.event_action for event in pager.taken()] == ["trigger", "resolve"]


def test_before_the_first_beat_it_waits(pager: PagerSink) -> None:
    """Whoever has set it up, and not yet the heart, is not called."""
    with DeadMansSwitch(0, f"{pager.url}/v2/enqueue") as switch:
        assert not switch.late
    assert not pager.taken()


def test_a_phone_that_is_down_is_called_again(pager: PagerSink) -> None:
    """Until somebody is there."""
    pager.fail("503", for_requests=1)
    with DeadMansSwitch(0, f"{pager.url}/v2/enqueue") as switch:
        beat(switch)
        assert eventually(pager.taken, PATIENCE)
    assert pager.requests["POST", "/v2/enqueue", 503] == 1
