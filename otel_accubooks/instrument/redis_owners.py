"""Which Redis is the cache: what is known of each connection pool, and of each cluster's client.

Every one is the cache but what a queue library made for itself. On a shared one, the keys of queue
libraries and of the session store are theirs. Where a setting names the cache, only what goes to
that server and database is the cache.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from otel_accubooks.instrument.redis_place import Place, of_pool, on_host

# Keys of RQ, of Celery's results, and of Celery's broker with a queue of the default name.
QUEUE_PREFIXES = ("rq:", "celery", "_kombu.", "unacked", "chord-unlock-")

# What the setting names; None where it names nothing.
named: Place | None = None


class Owner:
    """A pool or cluster: whether it may be the cache, and whose keys there are not the cache's."""

    __slots__ = ("_bytes", "alive", "is_cache", "text", "watched")

    def __init__(self, alive: ref[Any], is_cache: bool) -> None:
        self.alive = alive
        self.is_cache = is_cache
        self.watched = False
        self.text: tuple[str, ...] = ()  # what others' keys begin with
        self._bytes: tuple[bytes, ...] = ()
        self.leave_out(*QUEUE_PREFIXES)

    def leave_out(self, *prefixes: str) -> None:
        """Keys that begin with one of `prefixes` are not the cache's."""
        self.text += tuple(each for each in prefixes if each not in self.text)
        self._bytes = tuple(prefix.encode() for prefix in self.text)

    def is_others(self, key: object) -> bool:
        """True for a key, of whatever type, that is not the cache's."""
        if type(key) is str:
            return key.startswith(self.text)
        return isinstance(key, bytes) and key.startswith(self._bytes)


class Owners:
    """The pools and clusters of this process, each looked at once."""

    def __init__(self) -> None:
        self.known: dict[int, Owner] = {}  # by id, which an owner gives back when it goes

    def of(self, client: Any) -> Owner:
        """What is known of the pool or cluster that `client`, or a pipeline of it, works on."""
        try:
            pool = client.connection_pool
        except AttributeError:
            pool = _cluster(client)
        known = self.known.get(id(pool))
        return known if known is not None else self._add(pool)

    def _add(self, pool: Any) -> Owner:
        key = id(pool)
        is_cache = named is None or any(named.names(place) for place in _places(pool))
        owner = Owner(ref(pool, lambda _: self.known.pop(key, None)), is_cache)
        return self.known.setdefault(key, owner)


def _cluster(client: Any) -> Any:
    """What a cluster's client shares with its pipelines, and can be remembered by."""
    client = getattr(client, "_pipe", client)  # of what watches keys for a pipeline
    for name in ("cluster_client", "_client"):  # of an asyncio pipeline
        client = getattr(client, name, client)
    manager = client.nodes_manager
    # An asyncio client's has no place for a weak reference.
    return manager if hasattr(type(manager), "__weakref__") else client


def nodes(cluster: Any) -> list[Any]:
    """The nodes of what `Owners` remembers a cluster by; none before it was first used."""
    return list(getattr(cluster, "nodes_manager", cluster).nodes_cache.values())


def is_cluster(pool: Any) -> bool:
    """True for what is no connection pool."""
    return not hasattr(pool, "connection_class")


def _places(pool: Any) -> list[Place]:
    if is_cluster(pool):
        return [on_host(node.host, node.port) for node in nodes(pool)]
    return [of_pool(pool)]


owners = Owners()
