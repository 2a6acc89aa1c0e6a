"""redis-py: how long cache operations take, and what their reads found.

One observation is one command, or one pipeline that holds a cache command. Hits and misses are
counted from the values that the caller gets: one for each value asked for by GET, GETEX, GETDEL,
MGET, HGET, HMGET, HGETEX, HGETDEL, JSON.GET, JSON.MGET, where None is a miss, and one for HGETALL,
where nothing is a miss; in pipelines too. EXISTS and its like look, but read nothing: they count
as operations only. A failed command is an operation, neither hit nor miss.

Not measured: commands that are not about keys (PING, CONFIG, PUBLISH, ...), what goes to keys of RQ
and Celery, `redis.asyncio`, and what a PubSub or a Monitor sends.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from otel_accubooks.contract.metrics import (
    CACHE_HITS_TOTAL,
    CACHE_MISSES_TOTAL,
    CACHE_OPERATION_DURATION_MS,
)
from otel_accubooks.instrument.faults import FAULTS
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.redis_commands import (
    EACH,
    FILLED,
    PIPELINE,
    SILENT,
    command,
    is_queue_key,
)
from otel_accubooks.instrument.redis_info import Servers
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.series import Histogram

REMEMBERED_COMMANDS = 512

_durations = recorder.histogram(CACHE_OPERATION_DURATION_MS)
_hits_family = recorder.counter(CACHE_HITS_TOTAL)
_misses_family = recorder.counter(CACHE_MISSES_TOTAL)
_hits = _hits_family.labels()
_misses = _misses_family.labels()
_servers = Servers()

Method = Callable[..., Any]


class Operation:
    """What is known of a command by its name; `series` is None where it is no cache operation."""

    __slots__ = ("first_key", "read", "series")

    def __init__(self, name: object) -> None:
        found = command(name)
        self.series: Histogram | None = (
            None if found is None else _durations.labels(found.operation)
        )
        self.first_key = 1 if found is None else found.first_key
        self.read = SILENT if found is None else found.read


_operations: dict[object, Operation] = {}


def _operation_of(name: object) -> Operation:
    operation = _operations.get(name)
    if operation is None:
        if len(_operations) >= REMEMBERED_COMMANDS:
            _operations.clear()
        operation = _operations[name] = Operation(name)
    return operation


def _is_queue(args: tuple[Any, ...], operation: Operation) -> bool:
    at = operation.first_key
    return len(args) > at and is_queue_key(args[at])


def _count(read: int, value: Any) -> None:
    if read == EACH and value is not None:
        missing = value.count(None)
        if missing:
            _misses.add(missing)
        if len(value) > missing:
            _hits.add(len(value) - missing)
    elif value if read == FILLED else value is not None:
        _hits.add()
    else:
        _misses.add()


def _command_ended(
    client: Any, args: tuple[Any, ...], began: float, value: Any, read: bool
) -> None:
    elapsed = (perf_counter() - began) * 1000.0
    try:
        operation = _operation_of(args[0])
        series = operation.series
        if series is None or _is_queue(args, operation) or _is_broker(client):
            return
        series.record(elapsed)
        if read and operation.read:
            _count(operation.read, value)
    except FAULTS:
        failed("recording a Redis command")


def _pipeline_ended(client: Any, stack: list[Any], began: float, values: list[Any] | None) -> None:
    elapsed = (perf_counter() - began) * 1000.0
    try:
        cached = False
        for position, entry in enumerate(stack):
            args = entry[0] if type(entry) is tuple else entry.args  # a cluster has objects
            operation = _operation_of(args[0])
            if operation.series is None or _is_queue(args, operation):
                continue
            if not cached and _is_broker(client):
                return
            cached = True
            if operation.read and values is not None:
                value = values[position]
                if not isinstance(value, Exception):
                    _count(operation.read, value)
        if cached:
            _durations.labels(PIPELINE).record(elapsed)
    except FAULTS:
        failed("recording a Redis pipeline")


def _is_broker(client: Any) -> bool:
    return _servers.is_broker(getattr(client, "connection_pool", client))


def _measured_command(original: Method) -> Method:
    def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        began = perf_counter()
        try:
            value = original(self, *args, **options)
        except BaseException:
            _command_ended(self, args, began, None, False)
            raise
        _command_ended(self, args, began, value, True)
        return value

    return execute_command


def _measured_pipeline(original: Method) -> Method:
    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Taken now, since the pipeline empties itself. A cluster's has it elsewhere since 6.1.
        strategy = getattr(self, "_execution_strategy", None)
        stack = self.command_stack if strategy is None else strategy.command_queue
        began = perf_counter()
        try:
            values = original(self, *args, **kwargs)
        except BaseException:
            _pipeline_ended(self, stack, began, None)
            raise
        _pipeline_ended(self, stack, began, values)
        return values

    return execute


def _announce() -> None:
    _hits_family.announce()
    _misses_family.announce()


def instrument(module: Any) -> Patches:
    """Measures every client of this process; `module` is redis."""
    patches = Patches()
    client, cluster = module.client, module.cluster
    patches.wrap(client.Redis, "execute_command", _measured_command)
    patches.wrap(client.Pipeline, "immediate_execute_command", _measured_command)
    patches.wrap(client.Pipeline, "execute", _measured_pipeline)
    patches.wrap(cluster.RedisCluster, "execute_command", _measured_command)
    patches.wrap(cluster.ClusterPipeline, "execute", _measured_pipeline)
    recorder.on_open(_announce)
    return patches
