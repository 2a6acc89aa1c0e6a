"""What is said once by all that were forked from one another."""

from __future__ import annotations

import os

import pytest

from otel_accubooks.recorder import said


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "_shared", None)
    said.share()


def in_child(what: str) -> bool:
    pid = os.fork()
    if not pid:
        os._exit(int(said.first_to_say(what)))
    return bool(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@pytest.mark.usefixtures("shared")
def test_one_of_several_children_says_it() -> None:
    """The others, and the parent, have heard it; another thing is another."""
    assert [in_child("no room") for _ in range(3)] == [True, False, False]
    assert not said.first_to_say("no room")
    assert in_child("no name")


@pytest.mark.usefixtures("shared")
def test_what_is_taken_back_may_be_said_again() -> None:
    """By whichever process is the first then."""
    assert said.first_to_say("down")
    said.take_back("down")
    assert [in_child("down"), in_child("down")] == [True, False]


def test_where_nothing_is_shared_each_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather twice than not at all."""
    monkeypatch.setattr(said, "_shared", None)
    assert [said.first_to_say("x"), said.first_to_say("x")] == [True, True]


@pytest.mark.usefixtures("shared")
def test_too_much_is_said_by_each() -> None:
    """The page is full after some hundred things, which no service has to say."""
    assert all(said.first_to_say(str(number)) for number in range(2000))
