"""The gauges that each checkout of a connection changes: in Python, and compiled."""

from __future__ import annotations

from typing import Any

import pytest

from otel_accubooks.instrument import pool_gauges

KINDS: list[Any] = [pool_gauges]
try:
    from otel_accubooks.instrument import _pool_gauges

    KINDS.append(_pool_gauges)
except ImportError:
    pass  # not built here


class Gauge:
    """What it was set to, one after the other."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def set(self, value: float) -> None:
        self.values.append(value)


class Changing:
    """A container that another thread changes right after it was looked at for the first time."""

    def __init__(self) -> None:
        self.sizes = [1, 2, 2]

    def __len__(self) -> int:
        return self.sizes.pop(0)


@pytest.fixture(params=KINDS, ids=["plain", "compiled"][: len(KINDS)])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def shown(kind: Any, taken: Any, idle: Any, most: int | None) -> list[list[float]]:
    gauges = Gauge(), Gauge(), Gauge()
    kind.show(((taken, idle, most),), *gauges)
    return [gauge.values for gauge in gauges]


def test_the_gauges_say_what_the_containers_hold(kind: Any) -> None:
    """Those that are out, their share of the most, and all that are open."""
    assert shown(kind, {1: 1, 2: 2}, [3], 8) == [[2.0], [25.0], [3.0]]


def test_pools_add_up_and_the_worst_share_shows(kind: Any) -> None:
    """As of one database; a pool without a limit has no share."""
    gauges = Gauge(), Gauge(), Gauge()
    kind.show((([1], [2], 4), ([1, 2, 3], [], 4), ([1], [], None)), *gauges)
    assert [gauge.values for gauge in gauges] == [[5.0], [75.0], [6.0]]


def test_without_a_limit_there_is_no_share(kind: Any) -> None:
    """A pool that opens as many as it is asked for is never used up."""
    assert shown(kind, [1], [], None) == [[1.0], [], [1.0]]


def test_what_changed_meanwhile_is_shown_again(kind: Any) -> None:
    """Two threads may set the gauges in any order: the last one has read last."""
    assert shown(kind, Changing(), [], 4) == [[1.0, 2.0], [25.0, 50.0], [1.0, 2.0]]


@pytest.mark.parametrize("taken", [None, 7])
def test_what_has_no_length_is_an_error(kind: Any, taken: Any) -> None:
    """Whoever calls it contains that."""
    with pytest.raises(TypeError):
        shown(kind, taken, [], 1)
