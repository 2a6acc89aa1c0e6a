"""Alerts of what people notice first: errors, slowness, load, no answer at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from drill import Cause, Drill, row, run
from hanging import hanging
from postgres_faults import locked_now_and_then, open_ticket, renamed, repeated
from stand import Stand

TOKEN = "shown-by-whoever-is-on-call"
STAND = {
    "settings": {
        "OTEL_ACCUBOOKS_TEST_ERRORS": "true",
        "OTEL_ACCUBOOKS_MONITORING_TOKEN": TOKEN,
    }
}
SOMEBODY = "starter@acorn.example"
# Does what those do who are always there: another mixture of pages has another mean latency.
OTHER = "starter@birch.example"
ERRORS = frozenset({"HighErrorRate", "ErrorRateElevated", "ServerErrorBurst"})


@contextmanager
def triggered_errors(stand: Stand) -> Iterator[None]:
    """The service's own drill: a tenth of what it can, for ten seconds, begun anew where it ended."""
    wish = {"count": 100, "duration": "10s"}
    shown = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=stand.deployment.url, headers=shown, trust_env=False) as client:

        def trigger() -> None:
            answer = client.post("/api/test/trigger-errors", json=wish, timeout=60)
            assert answer.status_code in (202, 409), answer.text

        trigger()
        with repeated(trigger, every=1):
            yield


@contextmanager
def failing_page(stand: Stand) -> Iterator[None]:
    with renamed(stand, "tickets"), stand.people.busy(SOMEBODY, open_ticket):
        yield


@contextmanager
def few_failures(stand: Stand) -> Iterator[None]:
    """Of 139 requests one fails, however fast they are: more than 0.5 %, less than 1 %."""

    def deed() -> Callable[[httpx.Client], None]:
        done = 0

        def one(client: httpx.Client) -> None:
            nonlocal done
            done += 1
            if done % 70:
                stand.people.look(client)
            else:
                open_ticket(client)

        return one

    with renamed(stand, "tickets"), stand.people.busy(OTHER, deed(), pause=0):
        yield


def slow_page(seconds: float, browsers: int) -> Cause:
    """Whoever opens a ticket waits for a lock, for up to so many seconds."""

    @contextmanager
    def cause(stand: Stand) -> Iterator[None]:
        slow = locked_now_and_then(stand, "tickets", seconds)
        with slow, stand.people.busy(SOMEBODY, open_ticket, browsers=browsers, pause=0.05):
            yield

    return cause


@contextmanager
def slower_than_ever(stand: Stand) -> Iterator[None]:
    """A long time was good, at least by the number of its requests."""
    with stand.people.client(OTHER) as client:
        for _ in range(1500):
            stand.people.look(client)
    with slow_page(0.3, 2)(stand):
        yield


@contextmanager
def rush(stand: Stand) -> Iterator[None]:
    with stand.people.busy(OTHER, stand.people.look, browsers=4, pause=0):
        yield


@contextmanager
def killed(stand: Stand) -> Iterator[None]:
    stand.deployment.gunicorn.kill()
    try:
        yield
    finally:
        stand.deployment.gunicorn.start()


DRILLS = [
    Drill(
        "LatencyTrendDegradation",
        "a table is locked for a third of a second, again and again",
        slower_than_ever,
        # Of the good time before, in which many requests had to be made.
        related=frozenset({"RequestRateUnusual"}),
        # 30 minutes and 24 hours are 30 seconds and 24 minutes, which are the service's whole life.
        changes={"windows": 1 / 60, "holds": 1 / 60},
    ),
    Drill(
        "ErrorRateElevated",
        "a rarely used page fails: one request of 139",
        few_failures,
        related=frozenset({"ServerErrorBurst", "RequestRateUnusual"}),
        # A window of 30 seconds, so that it holds enough requests to tell 0.7 % from 1 %.
        changes={"windows": 1 / 10},
    ),
    Drill("HighErrorRate", "POST /api/test/trigger-errors", triggered_errors, ERRORS),
    Drill("ServerErrorBurst", "a migration took a table away", failing_page, ERRORS),
    Drill(
        "HighLatency",
        "a table is locked for two seconds, again and again",
        slow_page(2, 3),
        related=frozenset({"LatencyTrendDegradation", "DatabaseQueryLatencyHigh"}),
    ),
    Drill(
        "RequestRateUnusual",
        "four browsers that do not pause",
        rush,
        changes={"threshold": 40},  # of 1000, which this machine does not reach
    ),
    Drill(
        "SystemUnreachable",
        "gunicorn is killed",
        killed,
        service=None,
    ),
    Drill(
        "SystemUnreachable",
        "gunicorn hangs",
        lambda stand: hanging(stand.deployment.gunicorn),
        # Whoever asked meanwhile was slow.
        frozenset({"HighLatency", "LatencyTrendDegradation"}),
        service=None,
    ),
]


def test_alert(stand: Stand, drill: Drill, record_property: Callable[[str, object], None]) -> None:
    """The fault makes its alert pending and firing, its end resolves it; nothing else fires."""
    record_property("drill", row(drill, run(drill, stand)))
