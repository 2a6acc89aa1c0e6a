"""What is recorded of Redis commands and pipelines once they have ended."""

from __future__ import annotations

from typing import Any

from otel_accubooks.instrument import cache
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.redis_commands import EACH, FILLED, PIPELINE, SILENT, command
from otel_accubooks.instrument.redis_info import Servers
from otel_accubooks.instrument.redis_owners import Owner, owners
from otel_accubooks.recorder.series import Histogram

REMEMBERED_COMMANDS = 512

_servers = Servers()
_by_pool = owners.known


class Operation:
    """What is known of a command by its name; `series` is None where it is no cache operation."""

    __slots__ = ("first_key", "read", "series")

    def __init__(self, name: object) -> None:
        found = command(name)
        self.series: Histogram | None = (
            None if found is None else cache.durations.labels(found.operation)
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


def command_ended(
    client: Any, args: tuple[Any, ...], began: float, value: Any = None, *, read: bool = False
) -> None:
    """Records one command that began at perf_counter() `began`. Never raises.

    `value` is what the caller gets; `read` is False where that is an exception.
    """
    try:
        operation = _operations.get(args[0]) or _operation_of(args[0])
        series = operation.series
        if series is None:
            return
        try:
            owner = _by_pool[id(client.connection_pool)]
        except (AttributeError, KeyError):
            owner = owners.of(client)
        if not owner.is_cache:
            return
        at = operation.first_key
        if len(args) > at:
            key = args[at]
            if key.startswith(owner.text) if type(key) is str else owner.is_others(key):
                return
        series.record_since(began)
        if read and operation.read:
            _count(operation.read, value)
        if not owner.watched:
            _watch(owner)
    except Exception:
        failed("recording a Redis command")


def pipeline_ended(client: Any, stack: list[Any], began: float, values: list[Any] | None) -> None:
    """Records one pipeline that held a cache command. Never raises.

    `stack` is what was in it, `values` what the caller gets, at the same positions; None where that
    is an exception.
    """
    try:
        owner = owners.of(client)
        if not owner.is_cache:
            return
        cached = False
        for position, entry in enumerate(stack):
            args = entry[0] if type(entry) is tuple else entry.args  # a cluster has objects
            operation = _operation_of(args[0])
            if operation.series is None or _is_others(owner, args, operation):
                continue
            cached = True
            if operation.read and values is not None:
                value = values[position]
                if not isinstance(value, Exception):
                    _count(operation.read, value)
        if cached:
            cache.durations.labels(PIPELINE).record_since(began)
            if not owner.watched:
                _watch(owner)
    except Exception:
        failed("recording a Redis pipeline")


def _is_others(owner: Owner, args: tuple[Any, ...], operation: Operation) -> bool:
    at = operation.first_key
    return len(args) > at and owner.is_others(args[at])


def _count(read: int, value: Any) -> None:
    if value is None or (read == FILLED and not value):
        cache.misses.add()
    elif read == EACH:
        cache.found_each(value)
    else:
        cache.hits.add()


def _watch(owner: Owner) -> None:
    pool = owner.alive()
    owner.watched = True  # also where that fails, which it would do each time
    # Not yet where Sentinel or a cluster has not told who its servers are.
    owner.watched = pool is not None and bool(_servers.watch(pool))
