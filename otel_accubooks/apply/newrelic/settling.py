"""What has to happen to one object, so that it is as it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_accubooks.apply.change import Change, difference


def settled(
    kind: str,
    name: str,
    actual: Any,
    wanted: Any,
    *,
    create: Callable[[], None],
    update: Callable[[], None],
) -> Change:
    """The change that makes `wanted` of `actual`, which is None where the object is not there."""
    if actual is None:
        return Change("create", kind, name, difference(None, wanted), create)
    before, after = _plain(part(actual, wanted)), _plain(wanted)
    if before == after:
        return Change("keep", kind, name, (), lambda: None)
    return Change("update", kind, name, difference(before, after), update)


def part(actual: Any, wanted: Any) -> Any:
    """The part of `actual` that `wanted` speaks of: New Relic adds fields of its own."""
    if isinstance(actual, dict) and isinstance(wanted, dict):
        return {key: part(actual.get(key), value) for key, value in wanted.items()}
    if isinstance(actual, list) and isinstance(wanted, list) and len(actual) == len(wanted):
        return [part(one, other) for one, other in zip(actual, wanted, strict=True)]
    return actual


def _plain(value: Any) -> Any:
    """The same value, in which 5.0 is 5: New Relic gives numbers back in either way."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
