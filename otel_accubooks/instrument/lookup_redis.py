"""Look-ups in Redis, with the package that the application has."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from otel_accubooks.instrument.rules import PAIRS, Lookup

LIMIT_SECONDS = 2.0
MAX_PAIRS = 1000

Rows = list[tuple[tuple[Any, ...], Any]]


def query_of(lookup: Lookup) -> Callable[[], Rows] | None:
    """Asks the command of `lookup`; None while the application has not imported redis.

    Raises LookupError where its address is not to be had.
    """
    redis = sys.modules.get("redis")
    if redis is None or not hasattr(redis, "ConnectionPool"):
        return None
    connection = _connection_by(redis, str(lookup.target))
    return lambda: _ask(lookup, connection)


def _connection_by(redis: Any, variable: str) -> Callable[[], Any]:
    """Makes bare connections, which go past every client: nobody takes them for the application's."""
    address = os.environ.get(variable, "").strip()
    if not address:
        raise LookupError(f"{variable} is not set, expected the address of a Redis")
    try:
        settings = redis.connection.parse_url(address)
    except ValueError:
        raise LookupError(f"{variable} is no address of a Redis") from None
    kind = settings.pop("connection_class", redis.connection.Connection)
    settings["socket_timeout"] = LIMIT_SECONDS
    if "path" not in settings:  # older releases know no time limit for connecting to a Unix socket
        settings["socket_connect_timeout"] = LIMIT_SECONDS
    settings["retry"] = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    return lambda: kind(**settings)


def _ask(lookup: Lookup, connection: Callable[[], Any]) -> Rows:
    asking = connection()
    try:
        asking.connect()
        if lookup.redis[0] == PAIRS:
            asking.send_command("HLEN", lookup.redis[1])
            if asking.read_response() > MAX_PAIRS:
                raise ValueError(f"it has more than {MAX_PAIRS} fields")
        asking.send_command(*lookup.redis)
        answer = asking.read_response()
    finally:
        asking.disconnect()
    if lookup.redis[0] != PAIRS:
        return [((), _text(answer))]
    if isinstance(answer, dict):  # RESP3
        return [((_text(field),), _text(value)) for field, value in answer.items()]
    return [((_text(f),), _text(v)) for f, v in zip(answer[::2], answer[1::2], strict=True)]


def _text(answer: Any) -> Any:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
