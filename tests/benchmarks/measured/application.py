"""The measured application: short routes, so that what instrumentation adds is well visible.

BENCH_DSN, BENCH_REDIS: its servers. BENCH_BY_HAND: who instruments it from within (`by_hand`, or
"logfire", or "prometheus_flask_exporter"); nobody without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

BY_HAND = os.environ.get("BENCH_BY_HAND", "")
if BY_HAND == "logfire":
    import logfire

    logfire.configure(send_to_logfire=False, console=False, service_name="bench")
    logfire.instrument_psycopg("psycopg2")
    logfire.instrument_redis()

import psycopg2
import psycopg2.pool
import redis
from flask import Flask, Response, jsonify

app = Flask(__name__)
cursors: dict[str, Any] = {}
if BY_HAND == "logfire":
    logfire.instrument_flask(app)
elif BY_HAND == "prometheus_flask_exporter":
    from prometheus_flask_exporter import PrometheusMetrics

    PrometheusMetrics(app)
elif BY_HAND:
    import by_hand

    cursors["cursor_factory"] = by_hand.install(BY_HAND, app)

pool = psycopg2.pool.ThreadedConnectionPool(1, 4, os.environ["BENCH_DSN"], **cursors)
store = redis.Redis.from_url(os.environ["BENCH_REDIS"])


@app.get("/plain")
def plain() -> Response:
    """Nothing but an answer."""
    return jsonify(status="ok", n=1)


def two_queries() -> tuple[Any, list[Any]]:
    """One row by its key, three by a column; committed."""
    connection = pool.getconn()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id, name, qty FROM items WHERE id = %s", (42,))
            one = cursor.fetchone()
            cursor.execute("SELECT id, name FROM items WHERE qty = %s ORDER BY id LIMIT 3", (7,))
            three = cursor.fetchall()
        connection.commit()
        return one, three
    finally:
        pool.putconn(connection)


@app.get("/db")
def db() -> Response:
    """Two queries."""
    one, three = two_queries()
    return jsonify(one=one, three=three)


@app.get("/mix")
def mix() -> Response:
    """Two queries, a write to Redis, a hit and a miss."""
    one, three = two_queries()
    store.set("key:1", one[1])
    hit = store.get("key:1")
    miss = store.get("key:2")
    return jsonify(one=one, three=three, hit=hit.decode(), miss=miss is None)


@app.get("/counted")
def counted() -> Response:
    """What a business rule counts: see rules.toml."""
    return jsonify(status="ok", n=1)


@app.get("/insert")
def insert() -> Response:
    """One INSERT, committed."""
    connection = pool.getconn()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO entries (item) VALUES (%s)", (42,))
    finally:
        pool.putconn(connection)
    return jsonify(status="ok")


@app.get("/stream")
def stream() -> Response:
    """A body in ten pieces."""

    def pieces() -> Iterator[str]:
        for number in range(10):
            yield f"{number}\n"

    return Response(pieces(), mimetype="text/plain")


@app.get("/pipeline")
def pipeline() -> Response:
    """Three commands in one trip to Redis."""
    trip = store.pipeline(transaction=False)
    trip.set("key:1", "x").get("key:1").get("key:2")
    return jsonify(hits=len(trip.execute()))


_made: dict[str, Any] = {}


def made(name: str, make: Any) -> Any:
    """What some routes alone need is made when they are first asked for."""
    if name not in _made:
        _made[name] = make()
    return _made[name]


def _psycopg_pool() -> Any:
    from psycopg_pool import ConnectionPool

    return ConnectionPool(os.environ["BENCH_DSN"], min_size=1, max_size=4, open=True)


def _engine() -> Any:
    import sqlalchemy

    url = os.environ["BENCH_DSN"].replace("postgresql://", "postgresql+psycopg2://")
    return sqlalchemy.create_engine(url)


def _queue() -> Any:
    import rq

    return rq.Queue("bench", connection=store)


@app.get("/psycopg3")
def psycopg3() -> Response:
    """A query through psycopg 3 and its pool."""
    with made("psycopg3", _psycopg_pool).connection() as connection:
        row = connection.execute("SELECT id, name FROM items WHERE id = %s", (42,)).fetchone()
    return jsonify(row=row)


@app.get("/sqlalchemy")
def sqlalchemy() -> Response:
    """A query through SQLAlchemy's engine."""
    import sqlalchemy as sa

    with made("engine", _engine).connect() as connection:
        query = sa.text("SELECT id, name FROM items WHERE id = :id")
        row = connection.execute(query, {"id": 42}).one()
    return jsonify(row=list(row))


@app.get("/enqueue")
def enqueue() -> Response:
    """A job for RQ; the queue is emptied, since nobody works on it."""
    queue = made("queue", _queue)
    job = queue.enqueue("jobs.forecast", 42)
    job.delete()
    return jsonify(status="ok")
