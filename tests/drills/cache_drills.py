"""Alerts of the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from drill import Drill, row, run
from hanging import hanging
from postgres_faults import repeated
from redis import Redis
from stand import Stand

MEMORY = frozenset({"RedisMemoryCritical", "RedisMemoryWarning"})
BALLAST = "ballast"  # so large that what else comes and goes does not matter
BALLAST_BYTES = 64 * 1024 * 1024


@contextmanager
def connected(stand: Stand) -> Iterator[Any]:
    with Redis.from_url(stand.deployment.redis.url) as redis:
        yield redis


@contextmanager
def forgetful(stand: Stand) -> Iterator[None]:
    """Somebody removes what the application caches, all the time."""
    with connected(stand) as redis:

        def forget() -> None:
            for key in redis.scan_iter("accubooks:scenario:*"):
                redis.delete(key)

        with repeated(forget, every=0.02):
            yield


def filled(percent: float) -> Callable[[Stand], Any]:
    """Somebody stores something large: so much of the memory is used then."""

    @contextmanager
    def cause(stand: Stand) -> Iterator[None]:
        with connected(stand) as redis:
            redis.setrange(BALLAST, BALLAST_BYTES, b"0")
            used = redis.info("memory")["used_memory"]
            redis.config_set("maxmemory", int(used * 100 / percent))
            try:
                yield
            finally:
                redis.delete(BALLAST)
                redis.config_set("maxmemory", 0)

    return cause


@contextmanager
def evicting(stand: Stand) -> Iterator[None]:
    """Another program fills the cache with what it reads once."""
    with connected(stand) as redis:
        used = redis.info("memory")["used_memory"]
        redis.config_set("maxmemory-policy", "volatile-ttl")
        redis.config_set("maxmemory", used + 2 * 1024 * 1024)

        def fill() -> None:
            for number in range(10):
                redis.set(f"other:{time.monotonic()}:{number}", b"0" * 10_000, ex=30)

        try:
            with repeated(fill, every=0.1):
                yield
        finally:
            redis.config_set("maxmemory", 0)
            redis.config_set("maxmemory-policy", "noeviction")
            for key in redis.scan_iter("other:*"):
                redis.delete(key)


@contextmanager
def halting(stand: Stand) -> Iterator[None]:
    """Somebody's commands block the server for a tenth of a second each."""
    with connected(stand) as redis, repeated(lambda: redis.client_pause(100), every=0.05):
        yield


@contextmanager
def killed(stand: Stand) -> Iterator[None]:
    stand.deployment.redis.kill()
    try:
        yield
    finally:
        stand.deployment.redis.start()


DRILLS = [
    Drill("CacheHitRateLow", "what is cached is removed at once", forgetful),
    Drill("CacheLatencyHigh", "the server halts for 0.1 s, again and again", halting),
    Drill("RedisMemoryWarning", "88 % of the memory is used", filled(88)),
    Drill("RedisMemoryCritical", "95 % of the memory is used", filled(95), MEMORY),
    Drill(
        "CacheEvictionsHigh",
        "another program fills the cache",
        evicting,
        # The server is full then, and what it evicts may be what people look at.
        MEMORY | {"CacheHitRateLow"},
    ),
    Drill(
        "SystemUnhealthy",
        "Redis, the cache and the queue, is killed",
        killed,
        # Of the queue, the health address answers 503, which is what reachability asks too.
        frozenset({"SystemUnreachable"}),
    ),
    Drill(
        "SystemUnhealthy",
        "Redis, the cache and the queue, hangs",
        lambda stand: hanging(stand.deployment.redis),
        # Each look into the cache is given up after the two seconds that the application allows.
        frozenset(
            {
                "SystemUnreachable",
                "CacheLatencyHigh",
                "HighLatency",
                "LatencyTrendDegradation",
            }
        ),
    ),
]


def test_alert(stand: Stand, drill: Drill, record_property: Callable[[str, object], None]) -> None:
    """The fault makes its alert pending and firing, its end resolves it; nothing else fires."""
    record_property("drill", row(drill, run(drill, stand)))
