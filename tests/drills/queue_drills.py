"""Alerts of the forecasts: their queue, their worker, and what they compute."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from drill import Cause, Drill, row, run
from postgres_faults import locked_now_and_then
from redis import Redis
from rq import Queue
from stand import PATIENCE_SECONDS, Stand

WAITING = 210  # more than the 200 of the alert
FAILED = "ForecastJobFailureRateElevated"


def ask(client: httpx.Client) -> None:
    client.post("/api/forecasts", json={})


def asking(company: str, pause: float) -> Cause:
    """Somebody of that company asks for one forecast after the other."""
    return lambda stand: stand.people.busy(f"pro@{company}.example", ask, pause=pause)


@contextmanager
def queue(stand: Stand) -> Iterator[Queue]:
    with Redis.from_url(stand.deployment.redis.url) as redis:
        yield Queue("forecasts", connection=redis)


@contextmanager
def no_worker(stand: Stand) -> Iterator[None]:
    """The worker has ended, and people go on asking; it comes back, and the rest is given up."""
    with queue(stand) as waiting, stand.people.client("pro@acorn.example") as client:
        stand.deployment.worker.stop()
        try:
            while waiting.count < WAITING:
                ask(client)
            yield
        finally:
            stand.deployment.worker.start()
            give_up = time.monotonic() + PATIENCE_SECONDS
            while waiting.count > WAITING - 15 and time.monotonic() < give_up:
                time.sleep(0.1)
            waiting.empty()


@contextmanager
def killed_worker(stand: Stand) -> Iterator[None]:
    """It told nobody that it ended, and RQ lists it as idle for minutes."""
    stand.deployment.worker.kill()
    try:
        with stand.people.client("pro@acorn.example") as client:
            for _ in range(3):
                ask(client)
        yield
    finally:
        stand.deployment.worker.start()


def hanging_jobs(seconds: float) -> Cause:
    """What a forecast reads is locked again and again; there is always one that waits for it."""

    @contextmanager
    def cause(stand: Stand) -> Iterator[None]:
        with queue(stand) as waiting:

            def ask_if_none_waits(client: httpx.Client) -> None:
                if not waiting.count:
                    ask(client)

            locks = locked_now_and_then(stand, "ledger", seconds, free=2)
            with locks, stand.people.busy("pro@acorn.example", ask_if_none_waits, pause=1):
                yield

    return cause


@contextmanager
def foreign_row(stand: Stand) -> Iterator[None]:
    """Another company's row is in the part of the cache that is Acorn's."""
    with stand.people.client("pro@cedar.example") as cedar:
        row = cedar.post("/api/scenarios", json={"name": "secret"}).raise_for_status().json()
    with stand.people.client("pro@acorn.example") as acorn:
        made = acorn.post("/api/scenarios", json={"name": "own"}).raise_for_status().json()
    key = f"accubooks:scenario:{made['tenant_id']}:{row['id']}"
    with Redis.from_url(stand.deployment.redis.url) as redis:
        redis.set(key, json.dumps(row))
        try:
            page = f"/api/scenarios/{row['id']}"
            with stand.people.busy("pro@acorn.example", lambda client: client.get(page), pause=1):
                yield
        finally:
            redis.delete(key)


DRILLS = [
    Drill(FAILED, "a company without enough history asks for forecasts", asking("sapling", 0.5)),
    Drill(
        "DataIntegrityIssue",
        "the books of a company do not balance",
        asking("crooked", 2),
        related=frozenset({FAILED}),
    ),
    Drill("DataIntegrityIssue", "the cache has another company's row", foreign_row),
    Drill(
        "ForecastVolumeUnusual",
        "somebody asks for one forecast after the other",
        asking("acorn", 0.3),
        related=frozenset({"ForecastWorkersSaturated"}),
        # An hour is 30 seconds, in which the machine makes some twenty forecasts.
        changes={"windows": 1 / 120, "threshold": 10},
    ),
    Drill(
        "ForecastWorkersSaturated",
        "the worker's only job hangs in a lock",
        hanging_jobs(40),
        related=frozenset({"ForecastJobsSlow"}),
    ),
    Drill(
        "ForecastWorkersSaturated",
        "the worker is killed while it has nothing to do",
        killed_worker,
        related=frozenset({"ForecastVolumeUnusual"}),
    ),
    Drill(
        "ForecastJobsSlow",
        "what a forecast reads is locked for 36 s, again and again",
        hanging_jobs(36),
        related=frozenset({"ForecastWorkersSaturated"}),
        # A window of 30 seconds, so that one hanging job is in it for longer than the hold time.
        changes={"windows": 1 / 10},
    ),
    Drill(
        "ForecastQueueDepthHigh",
        "the worker has ended, and people go on asking",
        no_worker,
        related=frozenset({"ForecastWorkersSaturated", "ForecastVolumeUnusual"}),
    ),
]


def test_alert(stand: Stand, drill: Drill, record_property: Callable[[str, object], None]) -> None:
    """The fault makes its alert pending and firing, its end resolves it; nothing else fires."""
    record_property("drill", row(drill, run(drill, stand)))
