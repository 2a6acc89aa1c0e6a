"""Who else uses Redis: Celery's broker and results, and Flask-Session. What is theirs is no cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.redis_owners import owners

Method = Callable[..., Any]


def _of_queue(original: Method) -> Method:
    def _create_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = original(self, *args, **kwargs)
        try:
            owners.of(client).is_cache = False
        except Exception:
            failed("looking at a queue's Redis client")
        return client

    return _create_client


def _of_sessions(original: Method) -> Method:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            client = vars(self).get("client") or vars(self)["redis"]  # named so before 0.6
            owners.of(client).leave_out(self.key_prefix)
        except Exception:
            failed("looking at the session store's Redis client")

    return __init__


_MAKERS = {
    "Channel": ("_create_client", _of_queue),  # kombu.transport.redis
    "RedisBackend": ("_create_client", _of_queue),  # celery.backends.redis
    "RedisSessionInterface": ("__init__", _of_sessions),  # flask_session
}


def instrument(module: Any) -> Patches:
    """Learns whose clients are made by `module`, one of those that `_MAKERS` names."""
    patches = Patches()
    for name, (method, wrapper) in _MAKERS.items():
        maker = vars(module).get(name)
        if maker is not None:
            patches.wrap(maker, method, wrapper)
    return patches
