"""What a measured application talks to: PostgreSQL, Redis and somebody who takes what is sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.process import Server
from otel_accubooks.stack.redis import Redis

TABLE = """
CREATE TABLE items (id int PRIMARY KEY, name text, qty int);
INSERT INTO items SELECT n, md5(n::text), n % 100 FROM generate_series(1, 1000) n;
CREATE TABLE entries (id bigserial PRIMARY KEY, item int, at timestamptz DEFAULT now());
ANALYZE items;
"""


@dataclass(frozen=True)
class Servers:
    """Where they are; `sink` is an HTTP address that answers 200 to everything."""

    dsn: str
    redis: str
    sink: str

    def variables(self) -> Mapping[str, str]:
        """What `measured/application.py` reads from its environment."""
        return {"BENCH_DSN": self.dsn, "BENCH_REDIS": self.redis}


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """PostgreSQL with the table, Redis and a sink, stopped afterwards; logs go to `folder`."""
    with Postgres(folder) as postgres, Redis(folder) as redis, _sink(folder) as address:
        connection = psycopg2.connect(postgres.dsn)
        with connection, connection.cursor() as cursor:
            cursor.execute(TABLE)
        connection.close()
        yield Servers(postgres.dsn, redis.url, address)


@contextmanager
def _sink(folder: Path) -> Iterator[str]:
    port = free_port()
    program = Path(__file__).with_name("measured") / "sink.py"
    with Server(
        "sink",
        [sys.executable, str(program), str(port)],
        log=folder / "sink.log",
        ready=lambda: "listening" in (folder / "sink.log").read_text(),
    ):
        yield f"http://127.0.0.1:{port}"
