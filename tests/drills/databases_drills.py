"""Alerts of the database and of the pools before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
from drill import Cause, Drill, row, run
from hanging import hanging
from postgres_faults import connected, locked, locked_now_and_then, open_ticket, repeated
from stand import Stand

# Of two workers with ten connections each, all hang, and people still want to be answered.
STAND = {"threads": 24}
SOMEBODY = "starter@acorn.example"
PATIENCE_SECONDS = 120

ERRORS = frozenset({"HighErrorRate", "ErrorRateElevated", "ServerErrorBurst"})
# Whoever waited was slow: it shows when the wait is over.
SLOW = frozenset({
    "HighLatency", "LatencyTrendDegradation", "DatabaseQueryLatencyHigh",
    "DatabaseConnectionWaitHigh",
})  # fmt: skip
TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

Pools = dict[str, float]  # of the summary: pool_utilization, active_connections, pool_max, ...


def held(is_enough: Callable[[Pools], bool]) -> Cause:
    """One request after the other hangs in a lock, with its connection, until that is enough."""

    @contextmanager
    def cause(stand: Stand) -> Iterator[None]:
        stand.people.client(SOMEBODY)
        with ThreadPoolExecutor(40) as browsers, locked(stand, "tickets"):
            hanging: list[Future[None]] = []
            give_up = time.monotonic() + PATIENCE_SECONDS
            while not is_enough(found := pools(stand)):
                assert time.monotonic() < give_up, found
                hanging = [each for each in hanging if not each.done()]
                if found["active_connections"] >= len(hanging):
                    hanging.append(browsers.submit(hang, stand))
                time.sleep(0.1)
            yield

    return cause


def pools(stand: Stand) -> Pools:
    url = f"{stand.deployment.url}/api/monitoring/summary"
    answer = httpx.get(url, timeout=30, trust_env=False).raise_for_status()
    found: dict[str, float | None] = answer.json()["database"]
    return {name: value or 0.0 for name, value in found.items()}


def hang(stand: Stand) -> None:
    with stand.people.client(SOMEBODY) as client:
        client.post("/api/tickets", json={"problem": "waiting"}, timeout=300)


def list_scenarios(client: httpx.Client) -> None:
    client.get("/api/scenarios")


@contextmanager
def slow_queries(stand: Stand) -> Iterator[None]:
    slow = locked_now_and_then(stand, "tickets", 0.8)
    with slow, stand.people.busy(SOMEBODY, open_ticket, browsers=3, pause=0.05):
        yield


@contextmanager
def slow_logins(stand: Stand) -> Iterator[None]:
    """Each new connection takes a second; those that are open already are in use for a while."""
    in_use = locked_now_and_then(stand, "tickets", 0.3)
    with connected(stand) as cursor, in_use:
        cursor.execute("ALTER SYSTEM SET pre_auth_delay = 1")
        cursor.execute("SELECT pg_reload_conf()")
        try:
            with stand.people.busy(SOMEBODY, open_ticket, browsers=6, pause=0.05):
                yield
        finally:
            cursor.execute("ALTER SYSTEM RESET pre_auth_delay")
            cursor.execute("SELECT pg_reload_conf()")


@contextmanager
def cut_off(stand: Stand) -> Iterator[None]:
    with (
        connected(stand) as cursor,
        stand.people.busy(SOMEBODY, list_scenarios, browsers=2),
        repeated(lambda: cursor.execute(TERMINATE), every=0.5),
    ):
        yield


@contextmanager
def no_logins(stand: Stand) -> Iterator[None]:
    """The database takes nobody any more, and whoever was connected is cut off."""
    busy = stand.people.busy(SOMEBODY, list_scenarios)
    with connected(stand, "template1") as cursor, busy:
        cursor.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        cursor.execute(TERMINATE)
        try:
            yield
        finally:
            cursor.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS true")


@contextmanager
def killed(stand: Stand) -> Iterator[None]:
    with stand.people.busy(SOMEBODY, list_scenarios):
        stand.deployment.postgres.kill()
        try:
            yield
        finally:
            stand.deployment.postgres.start()


DRILLS = [
    Drill("DatabaseQueryLatencyHigh", "a table is locked again and again", slow_queries, SLOW),
    Drill("DatabaseConnectionWaitHigh", "a log-in takes a second", slow_logins, SLOW),
    Drill(
        "DatabasePoolUtilizationWarning",
        "8 of 10 connections hang in a lock",
        held(lambda pools: pools["pool_utilization"] >= 80),
        SLOW | {"DatabaseConnectionsHigh"},
    ),
    Drill(
        "DatabasePoolUtilizationHigh",
        "9 of 10 connections hang in a lock",
        held(lambda pools: pools["pool_utilization"] >= 90),
        SLOW | {"DatabaseConnectionsHigh", "DatabasePoolUtilizationWarning"},
    ),
    Drill(
        "DatabasePoolExhaustion",
        "10 of 10 connections hang in a lock",
        held(lambda pools: pools["pool_utilization"] >= 100),
        SLOW
        | {
            "DatabaseConnectionsHigh",
            "DatabasePoolUtilizationWarning",
            "DatabasePoolUtilizationHigh",
        },
    ),
    Drill(
        "DatabaseConnectionsHigh",
        "three quarters of all connections hang in a lock",
        held(lambda pools: 4 * pools["active_connections"] >= 3 * pools["pool_max"] > 0),
        # Whichever process has the more of them may run out of connections first.
        SLOW
        | ERRORS
        | {
            "DatabaseConnectionErrors",
            "DatabasePoolUtilizationWarning",
            "DatabasePoolUtilizationHigh",
            "DatabasePoolExhaustion",
        },
    ),
    Drill("DatabaseConnectionErrors", "connections are cut twice a second", cut_off, ERRORS | SLOW),
    Drill(
        "SystemUnhealthy",
        "PostgreSQL is killed",
        killed,
        # The health address answers 503, which is what reachability asks too.
        ERRORS | {"DatabaseConnectionErrors", "SystemUnreachable"},
    ),
    Drill(
        "SystemUnhealthy",
        "PostgreSQL hangs",
        lambda stand: hanging(stand.deployment.postgres),
        SLOW | {"SystemUnreachable"},
    ),
    Drill(
        "DatabaseConnectionErrors",
        "the database takes no connections any more",
        no_logins,
        # Of use to nobody, it is not healthy either.
        ERRORS | {"SystemUnhealthy", "SystemUnreachable"},
    ),
]


def test_alert(stand: Stand, drill: Drill, record_property: Callable[[str, object], None]) -> None:
    """The fault makes its alert pending and firing, its end resolves it; nothing else fires."""
    record_property("drill", row(drill, run(drill, stand)))
