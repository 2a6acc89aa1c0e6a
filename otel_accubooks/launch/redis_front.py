"""Redis, told of the settings that concern it."""

from __future__ import annotations

from typing import Any

from otel_accubooks.instrument import redis, redis_info, redis_owners
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.launch.start import settings


def instrument(module: Any) -> Patches:
    """Measures every Redis client of this process; `module` is redis."""
    redis_info.memory_budget_bytes = settings().cache_budget_bytes
    redis_owners.named = settings().cache_redis
    return redis.instrument(module)
