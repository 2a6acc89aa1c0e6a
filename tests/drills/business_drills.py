"""Alerts of the business: how many people are here, and what their tier allows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
from drill import Drill, row, run
from people import PASSWORD
from postgres_faults import connected
from stand import Stand
from werkzeug.security import generate_password_hash

# Nobody is here unless a drill says so.
STAND = {"always_busy": False}
CROWD = 5100
FREE = [f"free@{company}.example" for company in ("acorn", "birch", "cedar")]  # of five
NEW_USERS = """
INSERT INTO users (tenant_id, email, password_hash, tier)
SELECT min(tenants.id), 'crowd' || number || '@acorn.example', %s, 'PRO'
FROM tenants, generate_series(1, %s) AS number GROUP BY number
"""


def create_scenario(client: httpx.Client) -> None:
    client.post("/api/scenarios", json={"name": "one more"})


@contextmanager
def refused(stand: Stand) -> Iterator[None]:
    with stand.people.busy(FREE[0], create_scenario, pause=0.1):
        yield


@contextmanager
def at_their_limit(stand: Stand) -> Iterator[None]:
    """Three of the five who pay nothing have as many scenarios as they may have."""
    for email in FREE:
        with stand.people.client(email) as client:
            for _ in range(3):
                create_scenario(client)
    try:
        yield
    finally:
        with connected(stand) as cursor:
            cursor.execute("DELETE FROM scenarios")


@contextmanager
def crowd(stand: Stand) -> Iterator[None]:
    """5100 people sign in; they leave without a word."""
    # A hash that is quickly checked: it is not passwords that are tried here.
    with connected(stand) as cursor:
        cursor.execute(NEW_USERS, (generate_password_hash(PASSWORD, "pbkdf2:sha256:1"), CROWD))

    def come(first: int) -> None:
        with httpx.Client(base_url=stand.deployment.url, timeout=60, trust_env=False) as client:
            for number in range(first, CROWD + 1, BROWSERS):
                person = {"email": f"crowd{number}@acorn.example", "password": PASSWORD}
                client.post("/login", json=person).raise_for_status()

    with ThreadPoolExecutor(BROWSERS) as browsers:
        list(browsers.map(come, range(1, BROWSERS + 1)))
    yield


BROWSERS = 4


@contextmanager
def nobody(stand: Stand) -> Iterator[None]:
    """All who were here have left, until somebody comes."""
    try:
        yield
    finally:
        with stand.people.client("pro@acorn.example") as client:
            client.get("/")


DRILLS = [
    Drill(
        "TierLimitHitsHigh",
        "somebody tries again and again to have more than the tier allows",
        refused,
        changes={"windows": 1 / 120},  # an hour is 30 seconds
    ),
    Drill("TierLimitsWidelyHit", "three of five use up what their tier allows", at_their_limit),
    Drill(
        "ActiveUsersNearCapacity",
        "5100 people sign in",
        crowd,
        # So many take the application all its time.
        related=frozenset({"RequestRateUnusual", "LatencyTrendDegradation"}),
    ),
    # Those of the drill before are gone after five minutes, which are the metric's own.
    Drill("NoActiveUsers", "everybody has left", nobody, changes={"holds": 1 / 60}),
]


def test_alert(stand: Stand, drill: Drill, record_property: Callable[[str, object], None]) -> None:
    """The fault makes its alert pending and firing, its end resolves it; nothing else fires."""
    record_property("drill", row(drill, run(drill, stand)))
