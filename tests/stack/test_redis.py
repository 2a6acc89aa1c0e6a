"""Redis: in memory alone, with further flags where a test wants them."""

from __future__ import annotations

from pathlib import Path

import redis

from otel_accubooks.stack.redis import Redis


def test_it_answers_and_forgets(tmp_path: Path) -> None:
    """What was stored is there, and gone after an outage: nothing is written to disk."""
    with Redis(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("ledger", 42)
            assert client.get("ledger") == b"42"
        server.stop()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("ledger") is None


def test_flags_are_handed_on(tmp_path: Path) -> None:
    """A test of evictions needs a small memory."""
    with (
        Redis(tmp_path, args=["--maxmemory", "5mb"]) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        assert client.config_get("maxmemory") == {"maxmemory": str(5 * 1024 * 1024)}
