"""redis-py: how long cache operations take, and what their reads found.

One observation is one command, or one pipeline that holds a cache command. Hits and misses are
counted from the values that the caller gets: one for each value asked for by GET, GETEX, GETDEL,
MGET, HGET, HMGET, HGETEX, HGETDEL, JSON.GET, JSON.MGET, where None is a miss, and one for HGETALL,
where nothing is a miss; in pipelines too. EXISTS and its like look, but read nothing: they count
as operations only. A failed or cancelled command is an operation, neither hit nor miss.

The clients of `redis.asyncio` and of clusters are measured alike. What a cluster's pipeline sends
again, since a key has moved, counts once.

Not measured: commands that are not about keys (PING, CONFIG, PUBLISH, ...), what is not the cache's
(`redis_owners`), and what a PubSub or a Monitor sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from otel_accubooks.instrument import cache
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches, Wrapper
from otel_accubooks.instrument.redis_operations import command_ended, pipeline_ended

Method = Callable[..., Any]
AsyncMethod = Callable[..., Awaitable[Any]]

# True while a cluster's pipeline runs: commands that its client is given now are parts of it.
_in_pipeline: ContextVar[bool] = ContextVar("otel_accubooks_redis_pipeline", default=False)


def _command(original: Method) -> Method:
    def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        began = perf_counter()
        try:
            value = original(self, *args, **options)
        except BaseException:
            command_ended(self, args, began)
            raise
        command_ended(self, args, began, value, read=True)
        return value

    return execute_command


def _command_async(original: AsyncMethod) -> AsyncMethod:
    async def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        began = perf_counter()
        try:
            value = await original(self, *args, **options)
        except BaseException:
            command_ended(self, args, began)
            raise
        command_ended(self, args, began, value, read=True)
        return value

    return execute_command


def _cluster_command(original: Method) -> Method:
    measured = _command(original)

    def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        return (original if _in_pipeline.get() else measured)(self, *args, **options)

    return execute_command


def _cluster_command_async(original: AsyncMethod) -> AsyncMethod:
    measured = _command_async(original)

    async def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        return await (original if _in_pipeline.get() else measured)(self, *args, **options)

    return execute_command


def _pipeline(original: Method) -> Method:
    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        stack = _stack(self)
        began = perf_counter()
        try:
            values = original(self, *args, **kwargs)
        except BaseException:
            pipeline_ended(self, stack, began, None)
            raise
        pipeline_ended(self, stack, began, values)
        return values

    return execute


def _pipeline_async(original: AsyncMethod) -> AsyncMethod:
    async def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        stack = _stack(self)
        began = perf_counter()
        try:
            values = await original(self, *args, **kwargs)
        except BaseException:
            pipeline_ended(self, stack, began, None)
            raise
        pipeline_ended(self, stack, began, values)
        return values

    return execute


def _cluster_pipeline(original: Method) -> Method:
    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        _in_pipeline.set(True)
        try:
            return original(self, *args, **kwargs)
        finally:
            _in_pipeline.set(False)

    return _pipeline(execute)


def _cluster_pipeline_async(original: AsyncMethod) -> AsyncMethod:
    async def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        _in_pipeline.set(True)
        try:
            return await original(self, *args, **kwargs)
        finally:
            _in_pipeline.set(False)

    return _pipeline_async(execute)


def _stack(pipeline: Any) -> list[Any]:
    """What is in a pipeline. Taken before it is executed, since it empties itself."""
    try:
        # A cluster's has it elsewhere since 6.1, and an asyncio client's before.
        holder = getattr(pipeline, "_execution_strategy", pipeline)
        for name in ("command_stack", "_command_queue"):
            if hasattr(holder, name):
                return getattr(holder, name)  # type: ignore[no-any-return]
        return holder._command_stack  # type: ignore[no-any-return]
    except Exception:
        failed("looking into a Redis pipeline")
        return []


def instrument(module: Any) -> Patches:
    """Measures every client of this process; `module` is redis, which brings `redis.asyncio`."""
    patches = Patches()
    _wrap(patches, module, (_command, _pipeline, _cluster_command, _cluster_pipeline))
    _wrap(
        patches,
        module.asyncio,
        (_command_async, _pipeline_async, _cluster_command_async, _cluster_pipeline_async),
    )
    cache.announce()
    return patches


def _wrap(patches: Patches, library: Any, wrappers: tuple[Wrapper, ...]) -> None:
    command, pipeline, cluster_command, cluster_pipeline = wrappers
    client, cluster = library.client, library.cluster
    patches.wrap(client.Redis, "execute_command", command)
    patches.wrap(client.Pipeline, "immediate_execute_command", command)
    patches.wrap(client.Pipeline, "execute", pipeline)
    patches.wrap(cluster.RedisCluster, "execute_command", cluster_command)
    patches.wrap(cluster.ClusterPipeline, "execute", cluster_pipeline)
    watching = getattr(cluster, "TransactionStrategy", None)  # since 6.1
    if watching is not None and "_immediate_execute_command" in vars(watching):
        patches.wrap(watching, "_immediate_execute_command", command)
