"""PagerDuty's Events API v2: what it takes, what it refuses, and how incidents stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from otel_accubooks.stack.pager_sink import PagerSink

KEY = "0123456789abcdef0123456789ABCDEF"
PAYLOAD = {"summary": "it is on fire", "source": "books.example", "severity": "critical"}
EVENT = {"routing_key": KEY, "event_action": "trigger", "dedup_key": "fire", "payload": PAYLOAD}


@pytest.fixture
def pager() -> Iterator[PagerSink]:
    with PagerSink() as started:
        yield started


def enqueue(pager: PagerSink, event: Any) -> httpx.Response:
    return httpx.post(f"{pager.url}/v2/enqueue", json=event, trust_env=False)


def test_an_event_is_accepted(pager: PagerSink) -> None:
    """202, with the key under which the incident goes on."""
    answer = enqueue(pager, EVENT)
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "success",
        "message": "Event processed",
        "dedup_key": "fire",
    }
    (event,) = pager.taken()
    assert event.payload is not None
    assert event.payload.summary == "it is on fire"


def test_a_trigger_without_a_key_is_given_one(pager: PagerSink) -> None:
    """Which the answer tells."""
    answer = enqueue(pager, {key: EVENT[key] for key in EVENT if key != "dedup_key"})
    assert list(pager.incidents()) == [answer.json()["dedup_key"]]


def test_an_incident_is_resolved_by_its_key(pager: PagerSink) -> None:
    """And opens anew with the next trigger; what was never open stays so."""
    enqueue(pager, EVENT)
    enqueue(pager, {"routing_key": KEY, "event_action": "acknowledge", "dedup_key": "fire"})
    assert pager.incidents() == {"fire": "acknowledged"}
    for key in ("fire", "water"):
        enqueue(pager, {"routing_key": KEY, "event_action": "resolve", "dedup_key": key})
    assert pager.incidents() == {"fire": "resolved"}
    enqueue(pager, EVENT)
    assert pager.incidents() == {"fire": "triggered"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"routing_key": "short"}, "routing_key"),
        ({"routing_key": None}, "routing_key"),
        ({"event_action": "explode"}, "event_action"),
        ({"dedup_key": "x" * 256}, "dedup_key"),
        ({"payload": None}, "payload"),
        ({"payload": PAYLOAD | {"severity": "P0"}}, "payload.severity"),
        ({"payload": PAYLOAD | {"summary": ""}}, "payload.summary"),
        ({"payload": PAYLOAD | {"summary": "x" * 1025}}, "payload.summary"),
        ({"payload": PAYLOAD | {"source": ""}}, "payload.source"),
        ({"links": [{"href": "runbook.md"}]}, "links.0.href"),
        ({"event_action": "resolve", "dedup_key": None}, "dedup_key"),
    ],
)
def test_what_is_wrong_is_named(pager: PagerSink, wrong: dict[str, Any], field: str) -> None:
    """400 with a line on each field, and nothing is taken."""
    answer = enqueue(pager, EVENT | wrong)
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert field in str(answer.json()["errors"])
    assert pager.taken() == []


def test_no_other_address_is_known(pager: PagerSink) -> None:
    """Version 1 of the API had another."""
    assert httpx.post(f"{pager.url}/v1/enqueue", json=EVENT, trust_env=False).status_code == 404
