"""Connections of our own to the Redis servers of the application, past every client."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from redis.asyncio import connection as asynchronous
from redis.backoff import NoBackoff
from redis.retry import Retry

LIMIT_SECONDS = 2.0

# What belongs to the application's pool, or would make a question last longer than its limit.
_NOT_OURS = (
    *("maint_notifications", "oss_cluster_maint", "orig_", "himport_", "event_dispatcher"),
    *("retry", "health_check_interval"),
)
# What an asyncio client's settings have in common with those of a blocking connection.
_SHARED = ("host", "port", "path", "db", "username", "password", "credential_provider", "ssl_")


def own_connection(pool: Any, **more: Any) -> Callable[[], Any]:
    """Makes blocking connections (not yet connected) as `pool` would, with `more` settings.

    `pool` is a connection pool, or a node of a cluster, of a blocking or of an asyncio client. It is
    not kept alive, and nobody is asked anything here.
    """
    connection_class, settings = pool.connection_class, {**own_settings(pool), **more}
    # A Sentinel's pool knows its master once it has connected. To ask Sentinel, one would go through
    # the application's clients and their time limits.
    address = getattr(pool, "master_address", None)
    if address:
        settings["host"], settings["port"] = address
        settings.pop("connection_pool", None)
    if address or _is_asynchronous(pool):
        connection_class = _plain(connection_class)
    return partial(connection_class, **settings)


def own_settings(pool: Any) -> dict[str, Any]:
    """The pool's settings for a connection that answers soon or fails: no retries, short limits."""
    names = _SHARED if _is_asynchronous(pool) else ("",)
    settings = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if name.startswith(names) and not name.startswith(_NOT_OURS)
    }
    if hasattr(getattr(settings.get("redis_connect_func"), "__self__", None), "nodes_manager"):
        del settings["redis_connect_func"]  # of a cluster's client, which would live for ever
    settings["socket_timeout"] = LIMIT_SECONDS
    if "path" not in settings:  # older releases know no time limit for connecting to a Unix socket
        settings["socket_connect_timeout"] = LIMIT_SECONDS
    settings["retry"] = Retry(NoBackoff(), 0)
    return settings


def _is_asynchronous(pool: Any) -> bool:
    # redis-py before 4.6 has no AbstractConnection.
    base = getattr(asynchronous, "AbstractConnection", asynchronous.Connection)
    return issubclass(pool.connection_class, base)


def _plain(connection_class: Any) -> Any:
    """The blocking class of redis-py for connections of the same kind: TCP, TLS or Unix socket."""
    for base in connection_class.__mro__:
        if base.__module__ in (asynchronous.__name__, redis.connection.__name__):
            return getattr(redis.connection, base.__name__)
    return redis.Connection
