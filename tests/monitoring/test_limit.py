"""How often is answered: by all workers together, and whoever has the token before whoever guesses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otel_accubooks.monitoring import limit
from otel_accubooks.monitoring.front import Front
from otel_accubooks.monitoring.limit import AT_ONCE, PER_SECOND, Limit
from otel_accubooks.recorder.recorder import Recorder
from tests.monitoring.test_front import PREFIX, ask

FLOOD = int(AT_ONCE) + 200


class Clock:
    """A clock that goes when it is told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(limit, "time", made)
    return made


def passed(*limits: Limit) -> int:
    return sum(limits[number % len(limits)].passes() for number in range(FLOOD))


@pytest.mark.parametrize("workers", [1, 4])
def test_a_flood_is_answered_as_often_over_any_number_of_workers(
    tmp_path: Path, clock: Clock, workers: int
) -> None:
    """They count in one file; after a second there are as many more as there are for a second."""
    limits = [Limit(tmp_path / "limit") for _ in range(workers)]
    assert passed(*limits) == AT_ONCE
    clock.now += 1
    assert passed(*limits) == PER_SECOND
    clock.now += 3600
    assert passed(*limits) == AT_ONCE


def test_a_process_that_cannot_share_has_a_limit_of_its_own(tmp_path: Path) -> None:
    """A folder that is not there, or none at all."""
    for path in (None, tmp_path / "nowhere" / "limit"):
        assert passed(Limit(path)) == AT_ONCE


@pytest.mark.parametrize("content", [b"\xff" * 16, b"x", bytes(16)])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    """Whatever is in it: nobody is refused for ever."""
    (tmp_path / "limit").write_bytes(content)
    assert passed(Limit(tmp_path / "limit")) == AT_ONCE


def test_whoever_guesses_keeps_nobody_out(recorder: Recorder) -> None:
    """Wrong tokens are told 429 after a while; the right one is answered all the same."""
    front = Front(PREFIX, ("right",), test_errors=True)
    path = f"{PREFIX}/summary"
    guessed = [ask(front, path, authorization=f"Bearer {n}") for n in range(FLOOD)]
    assert [one.status for one in guessed].count(401) == AT_ONCE
    assert guessed[-1].status == 429
    assert guessed[-1].headers["Retry-After"] == "1"
    assert ask(front, path, authorization="Bearer right").status == 200


def test_health_is_never_refused(recorder: Recorder) -> None:
    """Under a flood of everything: a probe that was refused would stop the application."""
    front = Front(PREFIX, (), test_errors=False)
    ask(front, f"{PREFIX}/health")  # by which it joins the service
    asked = [ask(front, f"{PREFIX}/pool-config").status for _ in range(FLOOD)]
    assert asked.count(429) == FLOOD - AT_ONCE
    assert {ask(front, f"{PREFIX}/health").status for _ in range(FLOOD)} == {200}


def test_workers_that_ask_at_once_do_not_refill_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may write between the two looks, at the file and at the clock, of one."""
    one, other = Limit(tmp_path / "limit"), Limit(tmp_path / "limit")
    passed(one)
    read = limit._STATE

    class Interrupted:
        """A look at the file amid which another worker is answered."""

        def unpack_from(self, state: Any) -> Any:
            monkeypatch.setattr(limit, "_STATE", read)
            clock.now += 0.001
            other.passes()
            return read.unpack_from(state)

    monkeypatch.setattr(limit, "_STATE", Interrupted())
    assert not one.passes()
