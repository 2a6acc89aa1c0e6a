"""Everything that differs from one installation to the next, read from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    database_url: str
    redis_url: str
    secret_key: str
    pool_min: int
    pool_max: int
    cache_seconds: int


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings of the web application. Raises SystemExit with one line that says what is wrong."""
    settings = Settings(
        database_url=required(environ, "DATABASE_URL", "postgresql://user@localhost/accubooks"),
        redis_url=required(environ, "REDIS_URL", "redis://localhost:6379/0"),
        secret_key=required(environ, "SECRET_KEY", "a long random text"),
        pool_min=whole(environ, "DATABASE_POOL_MIN", 1),
        pool_max=whole(environ, "DATABASE_POOL_MAX", 10),
        cache_seconds=whole(environ, "CACHE_SECONDS", 60),
    )
    if settings.pool_min > settings.pool_max:
        raise SystemExit("DATABASE_POOL_MIN is above DATABASE_POOL_MAX: lower the first")
    return settings


def required(environ: Mapping[str, str], name: str, example: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise SystemExit(f"{name} is not set: set it to something like {example!r}")
    return value


def whole(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise SystemExit(f"{name} is {text!r}: it must be a whole number of at least 1")
    return int(text)
