"""Redis: what the server says of its memory and evictions, asked in the background with INFO."""

from __future__ import annotations

from time import monotonic
from typing import Any
from weakref import ref

from otel_accubooks.contract.metrics import (
    CACHE_EVICTION_RATE_PER_SEC,
    CACHE_MEMORY_USAGE_BYTES,
    CACHE_MEMORY_USAGE_PERCENT,
)
from otel_accubooks.instrument.polling import polls
from otel_accubooks.recorder.process import recorder

LIMIT_SECONDS = 2.0
DEFAULT_MEMORY_BUDGET_BYTES = 2 * 1024**3

# What cache_memory_usage_percent is of, where a server has no maxmemory.
memory_budget_bytes: float = DEFAULT_MEMORY_BUDGET_BYTES

# What belongs to the application's pool, or would make a question last longer than its limit.
_NOT_OURS = ("maint_notifications", "orig_", "himport_", "retry", "health_check_interval")


class Server:
    """One Redis server, and what it last said."""

    def __init__(self, connection_class: Any, settings: dict[str, Any]) -> None:
        self._connection_class = connection_class
        self._settings = settings
        self._evicted: tuple[str, float, float] | None = None  # run id, keys, when
        self.used_bytes = self.percent = self.evictions = 0.0

    def ask(self) -> bool:
        """Asks INFO over a connection of its own; False if it may not. Raises where nobody answers.

        The connection goes past every client, so that it is never measured.
        """
        from redis.exceptions import ResponseError

        connection = self._connection_class(**self._settings)
        try:
            connection.connect()
            connection.send_command("INFO")
            answer = connection.read_response()
        except ResponseError:
            return False  # no right to INFO, but an answer all the same
        finally:
            connection.disconnect()
        self._read(parse_info(answer))
        return True

    def _read(self, info: dict[str, str]) -> None:
        self.used_bytes = float(info["used_memory"])
        allowed = float(info.get("maxmemory", 0)) or memory_budget_bytes
        self.percent = 100.0 * self.used_bytes / allowed if allowed > 0 else 0.0
        run, keys, now = info.get("run_id", ""), float(info.get("evicted_keys", 0)), monotonic()
        before, self._evicted = self._evicted, (run, keys, now)
        if before is None or before[0] != run or keys < before[1] or now <= before[2]:
            self.evictions = 0.0  # the first time, or the server has begun anew
        else:
            self.evictions = (keys - before[1]) / (now - before[2])


class Servers:
    """The Redis servers that this process uses as a cache."""

    def __init__(self) -> None:
        # By id, which an owner gives back when it goes; True for a broker's: it is no cache.
        self._owners: dict[int, tuple[ref[Any], bool]] = {}
        self._asked: dict[str, Server] = {}

    def is_broker(self, owner: Any) -> bool:
        """True for a connection pool of Celery's broker. Any other is asked from now on.

        `owner` is a connection pool, or a cluster's client: that has a pool for each node.
        """
        known = self._owners.get(id(owner))
        return known[1] if known is not None else self._add(owner)

    def _add(self, owner: Any) -> bool:
        key = id(owner)
        if hasattr(owner, "connection_class"):
            pools, broker = [owner], str(owner.connection_class.__module__).startswith("kombu.")
        else:
            nodes = [node.redis_connection for node in owner.get_primaries()]
            pools, broker = [node.connection_pool for node in nodes if node is not None], False
        self._owners[key] = ref(owner, lambda _: self._owners.pop(key, None)), broker
        if not broker:
            for pool in pools:
                self._watch(pool)
        return broker

    def _watch(self, pool: Any) -> None:
        name = target_name(pool)
        if name in self._asked:
            return
        self._asked[name] = server = Server(pool.connection_class, own_settings(pool))
        polls.add(name, lambda: self._ask(server), "cache")

    def _ask(self, server: Server) -> None:
        if not server.ask():
            return
        # The metrics have no label, so of several servers the worst is shown.
        told = [one for one in list(self._asked.values()) if one.used_bytes]
        for metric, values in (
            (CACHE_MEMORY_USAGE_BYTES, [one.used_bytes for one in told]),
            (CACHE_MEMORY_USAGE_PERCENT, [one.percent for one in told]),
            (CACHE_EVICTION_RATE_PER_SEC, [one.evictions for one in told]),
        ):
            recorder.gauge(metric).labels().set(max(values))


def target_name(pool: Any) -> str:
    """What tells servers apart: no user, no password."""
    settings = pool.connection_kwargs
    database = settings.get("db") or 0
    service = getattr(pool, "service_name", None)
    if service:
        return f"cache redis sentinel {service}/{database}"
    if "path" in settings:
        return f"cache redis {settings['path']}/{database}"
    host, port = settings.get("host") or "localhost", settings.get("port") or 6379
    return f"cache redis {host}:{port}/{database}"


def own_settings(pool: Any) -> dict[str, Any]:
    """The pool's settings for a connection that answers soon or fails: no retries, short limits."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    settings = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if not name.startswith(_NOT_OURS)
    }
    settings["socket_timeout"] = LIMIT_SECONDS
    if "path" not in settings:  # older releases know no time limit for connecting to a Unix socket
        settings["socket_connect_timeout"] = LIMIT_SECONDS
    settings["retry"] = Retry(NoBackoff(), 0)
    return settings


def parse_info(answer: bytes | str) -> dict[str, str]:
    """The fields of an answer to INFO: lines of `name:value`."""
    text = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in pairs}
