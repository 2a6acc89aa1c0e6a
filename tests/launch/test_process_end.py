"""What a process still does at its end, and how long it may take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_accubooks.launch import process_end
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.process import recorder


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(process_end, "monotonic", made)
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StateFolder]:
    made = StateFolder(tmp_path / "service")
    made.make()
    monkeypatch.setattr(recorder, "folder", made)
    yield made
    process_end.flush_all()


def flushing(clock: Clock, *takes: float) -> list[float]:
    """How long each flush was given, where they take so many seconds at most."""
    given: list[float] = []

    def flush(seconds: float, at_most: float) -> None:
        given.append(seconds)
        clock.now += min(seconds, at_most)

    for at_most in takes:
        process_end.at_end(lambda seconds, at_most=at_most: flush(seconds, at_most))  # type: ignore[misc]
    process_end.flush_all()
    return given


def test_together_they_take_no_longer_than_one(clock: Clock, folder: StateFolder) -> None:
    """Who hangs leaves to the others their share."""
    assert flushing(clock, 60, 60, 60, 60) == pytest.approx([0.2, 0.2, 0.2, 0.2])


def test_what_one_does_not_need_the_others_have(clock: Clock, folder: StateFolder) -> None:
    """Where the first is done at once, the last may take nearly all."""
    assert flushing(clock, 0, 60) == pytest.approx([0.4, 0.8])


def test_a_server_waits_for_what_its_workers_left(clock: Clock, folder: StateFolder) -> None:
    """What a worker just waited for in vain is not waited for again; later, all is as ever."""
    assert process_end.seconds_left(folder) == process_end.ALONE_SECONDS
    flushing(clock, 60, 0)
    assert process_end.seconds_left(folder) == pytest.approx(0.4)
    clock.now += 2
    assert process_end.seconds_left(folder) == process_end.LEAST_SECONDS
    clock.now += 60
    assert process_end.seconds_left(folder) == process_end.ALONE_SECONDS


def test_who_was_quick_takes_nothing_from_others(clock: Clock, folder: StateFolder) -> None:
    """Workers come and go while all is well."""
    flushing(clock, 0.1)
    assert process_end.seconds_left(folder) == process_end.ALONE_SECONDS


def test_one_that_fails_stops_no_other(clock: Clock, folder: StateFolder) -> None:
    """Nothing is raised at the end of a process."""

    def failing(_: float) -> None:
        raise OSError("nobody there")

    process_end.at_end(failing)
    assert flushing(clock, 0.1) == pytest.approx([0.8])


def test_who_was_answered_slowly_takes_nothing_from_others(
    clock: Clock, folder: StateFolder
) -> None:
    """Only who waited in vain says so: a collector far away is no reason to leave counts behind."""
    flushing(clock, 0.3)
    assert process_end.seconds_left(folder) == process_end.ALONE_SECONDS
