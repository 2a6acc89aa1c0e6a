"""A cache in Redis. It may forget everything at any time, so its failures are only misses."""

import json
import logging
from typing import Any

from redis import Redis, RedisError

log = logging.getLogger(__name__)


class Cache:
    def __init__(self, redis: "Redis[str]", seconds: int) -> None:
        self._redis = redis
        self._seconds = seconds

    def get(self, key: str) -> Any | None:
        try:
            text = self._redis.get(key)
        except RedisError as error:
            log.warning("cache read of %s failed: %s", key, error)
            return None
        return None if text is None else json.loads(text)

    def put(self, key: str, value: Any) -> None:
        try:
            self._redis.set(key, json.dumps(value), ex=self._seconds)
        except RedisError as error:
            log.warning("cache write of %s failed: %s", key, error)

    def forget(self, key: str) -> None:
        try:
            self._redis.delete(key)
        except RedisError as error:
            log.warning("cache delete of %s failed: %s", key, error)
