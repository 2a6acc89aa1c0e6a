"""A process to which the system gives no thread."""

from __future__ import annotations

import pytest

from otel_accubooks.instrument import polling
from otel_accubooks.instrument.polling import Polls


def test_requests_look_after_things_until_there_is_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is raised; what every process has to do is done, and a thread is tried for again."""
    done: list[str] = []
    threads: list[object] = []

    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(polling, "start_new_thread", refused)
    monkeypatch.setattr(polling, "LOOK_SECONDS", 0.0)
    polls = Polls()
    polls.add_everywhere("looking", lambda: done.append("looked"), 0.0)
    polls.start()
    assert polls.threadless
    polls.run_threadless()
    assert done == ["looked"]
    monkeypatch.setattr(polling, "start_new_thread", lambda *given: threads.append(given))
    polls.run_threadless()
    assert not polls.threadless
    assert len(threads) == 1


def test_each_is_looked_after_no_more_often_than_it_has_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trying for a thread again makes nothing due."""
    done: list[str] = []

    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(polling, "start_new_thread", refused)
    monkeypatch.setattr(polling, "LOOK_SECONDS", 0.0)
    polls = Polls()
    polls.add_everywhere("looking", lambda: done.append("looked"), 3600.0)
    for _ in range(3):
        polls.run_threadless()
    assert done == ["looked"]
