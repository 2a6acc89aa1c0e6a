"""Steps of redis-py, Flask-Caching and Flask-Session."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import flask
import flask_caching
import redis
import redis.asyncio
from flask_session.redis import RedisSessionInterface

from tests.reliability.fault_step import CLUSTER, URL, closing, step, told


@step
def redis_commands() -> Any:
    with redis.Redis.from_url(URL) as client:
        client.delete("step", "other", "hash")
        said = [client.set("step", "1"), client.get("step"), client.mget(["step", "none"])]
        said += [client.hset("hash", "a", "1"), len(client.hgetall("hash")), client.hgetall("none")]
        said += [client.ping(), client.get(b"none"), told(client.lpush, "step", 1)[0]]
        said += [client.get("rq:theirs"), told(client.execute_command, "OBJECT ENCODING", "step")]
        return said


@step
def redis_pipelines() -> Any:
    with redis.Redis.from_url(URL) as client:
        with client.pipeline() as pipeline:
            pipeline.set("step", "1").get("step").mget(["step", "none"])
            said = [pipeline.execute()]
        with client.pipeline() as pipeline:
            pipeline.watch("step")
            said.append(pipeline.get("step"))
            pipeline.multi()
            pipeline.incr("step")
            said.append(pipeline.execute())
        with client.pipeline() as pipeline:
            pipeline.lpush("step", 1).get("step")
            said.append(told(pipeline.execute)[0])
        return said


@step
def redis_asyncio() -> Any:
    async def ask() -> Any:
        client = redis.asyncio.Redis.from_url(URL)
        said = [await client.set("step", "1"), await client.get("step")]
        async with client.pipeline() as pipeline:
            pipeline.get("step").mget(["step", "none"])
            said.append(await pipeline.execute())
        async with client.pipeline() as pipeline:
            await pipeline.watch("step")
            said.append(await pipeline.get("step"))
        try:
            await client.lpush("step", 1)
        except redis.ResponseError as error:
            said.append(type(error).__name__)
        await client.aclose()
        return said

    return asyncio.run(ask())


if CLUSTER:

    @step
    def redis_cluster() -> Any:
        with closing(redis.RedisCluster(host="127.0.0.1", port=CLUSTER)) as client:
            said = [client.set("{a}1", "1"), client.get("{a}1")]
            with client.pipeline() as pipeline:
                pipeline.set("{a}2", "2").get("{a}1").get("b")
                said.append(pipeline.execute())
            with client.pipeline(transaction=True) as pipeline:
                pipeline.watch("{a}1")
                said.append(pipeline.get("{a}1"))
            return said

    @step
    def redis_cluster_asyncio() -> Any:
        async def ask() -> Any:
            client = redis.asyncio.RedisCluster(host="127.0.0.1", port=CLUSTER)
            said = [await client.set("{a}1", "1"), await client.get("{a}1")]
            pipeline = client.pipeline()
            pipeline.set("{a}2", "2").get("{a}1")
            said.append(await pipeline.execute())
            watching = client.pipeline(transaction=True)
            said.append(inspect.iscoroutinefunction(watching.execute))
            await watching.watch("{a}1")
            said.append(await watching.get("{a}1"))
            await watching.unwatch()
            await client.aclose()
            return said

        return asyncio.run(ask())


@step
def flask_cache() -> Any:
    cached = flask.Flask("cached")
    cache = flask_caching.Cache(cached, config={"CACHE_TYPE": "SimpleCache"})

    @cache.memoize()
    def twice(number: int) -> int:
        return 2 * number

    with cached.app_context():
        said = [
            cache.set("a", 1),
            cache.get("a"),
            cache.get("b"),
            cache.add("a", 2),
            cache.has("a"),
        ]
        said += [cache.set_many({"c": 3}), cache.get_many("a", "b"), cache.get_dict("a", "b")]
        said += [cache.delete("a"), cache.delete_many("c"), twice(2), twice(2), cache.clear()]
    return [*said, told(flask_caching.Cache().get, "a")[0]]


@step
def flask_sessions() -> Any:
    with redis.Redis.from_url(URL) as client:
        return RedisSessionInterface(cached_app(), client=client, key_prefix="s:").key_prefix


def cached_app() -> flask.Flask:
    made = flask.Flask("sessions")
    made.config["SESSION_TYPE"] = "redis"
    return made
