"""Which Redis is the cache, and how much memory it may use: what the settings say of it."""

from __future__ import annotations

from typing import Any, NamedTuple

DEFAULT_BUDGET_BYTES = 2 * 1024**3
DEFAULT_PORT = 6379
EXPECTED = "redis://host:port/database or unix://path?db=database"

_SENTINEL = "sentinel "


class Place(NamedTuple):
    """A database of a Redis server; `where` is host:port, a socket's path, or "sentinel NAME"."""

    where: str
    database: int = 0

    def __str__(self) -> str:
        return f"{self.where}/{self.database}"

    def names(self, other: Place) -> bool:
        """True where this, read from a URL, stands for `other`; a Sentinel's name is a host there."""
        if other.where.startswith(_SENTINEL):
            host = self.where.removesuffix(f":{DEFAULT_PORT}")
            other = Place(other.where.removeprefix(_SENTINEL).lower(), other.database)
            return Place(host, self.database) == other
        return self == other


def on_host(host: object, port: object, database: object = 0) -> Place:
    """A server by host and port; those of this host's loopback are the same."""
    name = str(host or "localhost").lower()
    name = "127.0.0.1" if name == "localhost" else name
    return Place(f"{name}:{port or DEFAULT_PORT}", _number(database))


def of_pool(pool: Any) -> Place:
    """Where the connections of a pool (or of a node of a cluster) go."""
    settings = pool.connection_kwargs
    service = getattr(pool, "service_name", None)
    if service:
        return Place(f"{_SENTINEL}{service}", _number(settings.get("db")))
    if "path" in settings:
        return Place(str(settings["path"]), _number(settings.get("db")))
    return on_host(settings.get("host"), settings.get("port"), settings.get("db"))


def read_place(url: str) -> Place:
    """Reads EXPECTED, with or without user and password; raises ValueError for anything else."""
    from urllib.parse import parse_qs, unquote, urlsplit

    parts = urlsplit(url)
    given = parse_qs(parts.query).get("db")
    if parts.scheme == "unix" and parts.path.strip("/"):
        return Place(unquote(parts.path), int(given[0]) if given else 0)
    if parts.scheme in ("redis", "rediss") and parts.hostname:
        database = given[0] if given else parts.path.strip("/")
        return on_host(unquote(parts.hostname), parts.port, int(database or 0))
    raise ValueError(f"not {EXPECTED}")


def _number(database: object) -> int:
    return int(str(database)) if database else 0
