"""Flask-Caching: operations, hits and misses of caches that are not in Redis.

What is asked of Flask-Caching's `Cache` counts, by the name of its method, also where `cached`,
`memoize` or a template asks: each key is a hit, or a miss where the value is None, once. `memoize`
keeps versions of functions in the cache beside what the application caches: those do not count. A
backend in Redis is measured by the commands that it sends (`redis`), and not here.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from otel_accubooks.instrument import cache
from otel_accubooks.instrument.guard import failed, pass_on
from otel_accubooks.instrument.patching import Patches

Method = Callable[..., Any]

# `unlink` asks for `delete_many` where the backend is not Redis.
_OPERATIONS = (
    *("get", "has", "set", "add", "delete", "clear"),
    *("get_many", "get_dict", "set_many", "delete_many"),
)
_VERSION = "_memver"  # what the keys of memoized functions' versions end in

_RAISED = object()  # in the place of a value

_in_redis: dict[type, bool] = {}


def _measured(original: Method) -> Method:
    name = original.__name__

    def operation(self: Any, *args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        try:
            value = original(self, *args, **kwargs)
        except BaseException:
            _ended(name, self, args, began, _RAISED)
            raise
        _ended(name, self, args, began, value)
        return value

    return operation


def _ended(name: str, cache_: Any, args: tuple[Any, ...], began: float, value: Any) -> None:
    """Records an operation that began at perf_counter() `began`. Never raises."""
    try:
        elapsed = (perf_counter() - began) * 1000.0
        if _counts(cache_, args):
            cache.durations.labels(name).record(elapsed)
            if value is not _RAISED:
                _count(name, value)
    except Exception:
        failed("recording an operation of Flask-Caching")


def _counts(cache_: Any, args: tuple[Any, ...]) -> bool:
    try:
        if args and _is_version(args[0]):
            return False
        backend = cache_.cache
    except Exception:
        pass_on()
        return False  # the application was told so, too: there is no cache
    kind = type(backend)
    in_redis = _in_redis.get(kind)
    if in_redis is None:
        in_redis = _in_redis[kind] = _is_in_redis(backend)
    return not in_redis


def _is_version(keys: Any) -> bool:
    if type(keys) is dict:
        keys = next(iter(keys), None)
    return type(keys) is str and keys.endswith(_VERSION)


def _is_in_redis(backend: Any) -> bool:
    """True for Flask-Caching's own backends in Redis, and for any that holds a client of redis-py."""
    kinds = type(backend), *(type(held) for held in vars(backend).values())
    modules = {base.__module__ for kind in kinds for base in kind.__mro__}
    return any(each == "cachelib.redis" or each.partition(".")[0] == "redis" for each in modules)


def _count(name: str, value: Any) -> None:
    if name == "get":
        (cache.misses if value is None else cache.hits).add()
    elif name == "get_dict":
        cache.found_each(list(value.values()))
    elif name == "get_many" and isinstance(value, (list, tuple)):  # no iterator: it is not ours
        cache.found_each(value)


def instrument(module: Any) -> Patches:
    """Measures every cache of Flask-Caching in this process; `module` is flask_caching, 2 or later."""
    patches = Patches()
    for name in _OPERATIONS:
        if name in vars(module.Cache):
            patches.wrap(module.Cache, name, _measured)
    cache.announce()
    return patches
