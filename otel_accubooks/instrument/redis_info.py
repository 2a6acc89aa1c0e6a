"""Redis: what the cache's servers say of their memory and evictions, asked in the background."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any
from weakref import ref

from redis.exceptions import AuthenticationError, ResponseError

from otel_accubooks.contract.metrics import (
    CACHE_EVICTION_RATE_PER_SEC,
    CACHE_MEMORY_USAGE_BYTES,
    CACHE_MEMORY_USAGE_PERCENT,
)
from otel_accubooks.instrument.polling import polls
from otel_accubooks.instrument.redis_connections import own_connection
from otel_accubooks.instrument.redis_owners import is_cluster, nodes
from otel_accubooks.instrument.redis_place import DEFAULT_BUDGET_BYTES, of_pool
from otel_accubooks.recorder.process import recorder

MAX_SERVERS = 32  # an application with a database for each tenant is judged by the first ones
_FIELDS = ("used_memory", "maxmemory", "run_id", "evicted_keys")
KEPT_SECONDS = 60.0  # without a pool; for an application that makes one for each request

# What cache_memory_usage_percent is of, where a server has no maxmemory.
memory_budget_bytes: float = DEFAULT_BUDGET_BYTES


class Server:
    """One Redis server: who uses it here, and what it last said."""

    def __init__(self) -> None:
        self.connection: Callable[[], Any]
        self.users: dict[int, ref[Any]] = {}
        self.seen = 0.0
        self._evicted: tuple[str, float, float] | None = None  # run id, keys, when
        self.used_bytes = self.percent = self.evictions = 0.0

    def used_by(self, owner: Any, pool: Any) -> None:
        """Told of each pool that leads here. The newest is asked like: passwords may be renewed."""
        key, users = id(owner), self.users
        users[key] = ref(owner, lambda _: users.pop(key, None))
        self.seen = monotonic()
        self.connection = own_connection(pool)

    def ask(self) -> bool:
        """Asks INFO over a connection of its own; False if it may not. Raises where nobody answers.

        The connection goes past every client, so that it is never measured.
        """
        connection = self.connection()
        try:
            connection.connect()
            connection.send_command("INFO")
            answer = connection.read_response()
        except (ResponseError, AuthenticationError):
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
        self._asked: dict[str, Server] = {}

    def watch(self, owner: Any) -> list[str]:
        """Has the servers of a pool or cluster asked from now on. Asks nothing itself.

        Returns their names.
        """
        names = []
        for pool in _pools(owner):
            name = target_name(pool)
            names.append(name)
            if name not in self._asked and len(self._asked) >= MAX_SERVERS:
                continue
            self._asked.setdefault(name, Server()).used_by(owner, pool)
            polls.add(name, lambda name=name: self._ask(name), "cache")  # type: ignore[misc]
        return names

    def _ask(self, name: str) -> None:
        server = self._asked[name]
        if not self._in_use(name, server):
            self._forget(name, server)
        elif server.ask():
            self._show()

    def _in_use(self, name: str, server: Server) -> bool:
        """Looks again at who uses it, since the nodes of a cluster change."""
        live = _live(server)
        if not live:
            return monotonic() - server.seen < KEPT_SECONDS
        named = [self.watch(owner) for owner in live]
        return any(name in names or not names for names in named)

    def _forget(self, name: str, server: Server) -> None:
        self._asked.pop(name, None)
        polls.forget(name)
        self._show()
        for owner in _live(server):  # who came just now
            self.watch(owner)

    def _show(self) -> None:
        # The metrics have no label, so of several servers the worst is shown.
        told = [one for one in list(self._asked.values()) if one.used_bytes]
        for metric, values in (
            (CACHE_MEMORY_USAGE_BYTES, [one.used_bytes for one in told]),
            (CACHE_MEMORY_USAGE_PERCENT, [one.percent for one in told]),
            (CACHE_EVICTION_RATE_PER_SEC, [one.evictions for one in told]),
        ):
            recorder.gauge(metric).labels().set(max(values, default=0.0))


def _live(server: Server) -> list[Any]:
    owners = [user() for user in list(server.users.values())]
    return [owner for owner in owners if owner is not None]


def _pools(owner: Any) -> list[Any]:
    if not is_cluster(owner):
        # An asyncio client's pool for a Sentinel's replicas does not tell where it goes.
        return [owner] if getattr(owner, "master_address", True) else []
    primaries = [node for node in nodes(owner) if node.server_type == "primary"]
    clients = [getattr(node, "redis_connection", node) for node in primaries]
    return [getattr(each, "connection_pool", each) for each in clients if each is not None]


def target_name(pool: Any) -> str:
    """What tells servers apart: no user, no password."""
    return f"cache redis {of_pool(pool)}"


def parse_info(answer: bytes | str) -> dict[str, str]:
    """Those of _FIELDS that an answer to INFO has, of its lines `name:value`."""
    text = "\n" + (answer if isinstance(answer, str) else answer.decode("utf-8", "replace"))
    found = {}
    for field in _FIELDS:  # the two hundred other lines are not looked at one by one
        _, name, rest = text.partition(f"\n{field}:")
        if name:
            found[field] = rest.partition("\n")[0].strip()
    return found
