"""What would look well for a while after it broke is looked at last, and not too early."""

from __future__ import annotations

import pytest

from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify import ways
from otel_accubooks.verify.look import Look, State
from otel_accubooks.verify.source import FRESH_SECONDS
from otel_accubooks.verify.verification import run_step
from otel_accubooks.verify.way import Site
from otel_accubooks.verify.ways import WAYS

SITE = Site(Servers(), Addresses(("a@b.c",), ("a@b.c",), ""), {}, lambda _: None)


def waited(monkeypatch: pytest.MonkeyPatch, backend: State) -> float:
    """Seconds from the beginning to the look at metrics, of which no other step takes any."""
    slept: list[float] = []
    monkeypatch.setattr(ways.server, "look_backend", lambda _: [Look("backend", backend, "")])
    monkeypatch.setattr(ways.metrics, "look_metrics", lambda _: [])
    monkeypatch.setattr(ways.time, "sleep", slept.append)
    monkeypatch.setattr(ways.time, "monotonic", lambda: 1000.0)
    steps = {name: step for step in WAYS["prometheus"]() for name in step.gives}
    for name in ("backend", "metrics api"):
        run_step(steps[name], SITE)
    return sum(slept)


def test_metrics_that_ended_just_before_are_no_longer_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever was cut off before it all began is old by then."""
    assert waited(monkeypatch, "passed") > FRESH_SECONDS


def test_nobody_waits_for_what_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the backend itself is not well there is nothing to wait for."""
    assert waited(monkeypatch, "failed") == 0


@pytest.mark.parametrize("name", ["metrics cache", "calm", "standby"])
def test_what_lives_on_for_a_minute_comes_last(name: str) -> None:
    """After the test alert, which takes a while itself."""
    names = [one for step in WAYS["prometheus"]() for one in step.gives]
    assert names.index(name) > names.index("channel phone")  # type: ignore[arg-type]
