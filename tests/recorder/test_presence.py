"""Users and sessions, distinct over processes."""

from __future__ import annotations

import os
import time

import pytest

from otel_accubooks.recorder import fork, presence
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.presence import Presence, deployment_secret, derived_secret, hashed
from otel_accubooks.recorder.reader import SegmentReader
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader


def worker(folder: StateFolder, users: list[str], left: tuple[str, ...] = ()) -> None:
    """A process that sees `users`, of which `left` log out, and dies."""
    pid = os.fork()
    if pid == 0:
        fork.generation[0] = 0
        seen = Presence(Recorder(folder).attach, lambda: folder.path)
        key = deployment_secret(folder.path)
        for user in users:
            seen.seen(hashed(key, user))
        for user in left:
            seen.left(hashed(key, user))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def active(folder: StateFolder, later: float = 0.0) -> int:
    return len(ServiceReader(folder).read().visits.active(time.time() + later))


def sessions(folder: StateFolder, later: float = 0.0) -> int:
    found = ServiceReader(folder).read().visits.sessions(time.time() + later)
    return sum(1 for each in found.values() if each.open)


def tables(folder: StateFolder) -> int:
    return sum(len(SegmentReader(folder.path / name).records()) for name in folder.segments())


def test_a_user_on_two_workers_is_one(folder: StateFolder) -> None:
    """Distinct users over processes, the living and the folded."""
    worker(folder, ["ann", "bob"])
    worker(folder, ["bob", "cid"])
    assert (active(folder), sessions(folder)) == (3, 3)
    Folding(folder).fold()
    assert (active(folder), sessions(folder)) == (3, 3)


def test_who_left_has_no_session(folder: StateFolder) -> None:
    """A logout on another worker ends the session; a later sign of life begins another."""
    worker(folder, ["ann"])
    worker(folder, [], left=("ann",))
    assert (active(folder), sessions(folder)) == (1, 0)
    worker(folder, ["ann"])
    assert (active(folder), sessions(folder)) == (1, 1)


def test_the_silent_are_not_there(folder: StateFolder) -> None:
    """Five minutes for users, thirty for sessions."""
    worker(folder, ["ann"])
    assert (active(folder, 200), active(folder, 301)) == (1, 0)
    assert (sessions(folder, 1700), sessions(folder, 1810)) == (1, 0)


def test_ids_are_nowhere_in_the_folder(folder: StateFolder) -> None:
    """A user's id is kept as a keyed hash only."""
    worker(folder, ["ann@example.com"], left=("ann@example.com",))
    for path in folder.path.iterdir():
        assert b"ann@example.com" not in path.read_bytes()


def test_the_key_is_that_of_the_deployment() -> None:
    """Hosts with the same text agree on a user; another text makes another number."""
    ann = hashed(derived_secret("shared"), "ann")
    assert ann == hashed(derived_secret("shared"), "ann")
    assert ann != hashed(derived_secret("other"), "ann")


def test_more_users_than_a_table_has_rows(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all rows are taken, another table is begun."""
    monkeypatch.setattr(presence, "_ROWS", 8)
    worker(folder, [str(number) for number in range(50)] * 2)
    assert active(folder) == 50


def test_a_flood_of_users_has_an_end(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What else this process records keeps its room."""
    monkeypatch.setattr(presence, "_ROWS", 8)
    monkeypatch.setattr(presence, "MAX_TABLES", 3)
    seen = Presence(Recorder().attach, lambda: None)
    for who in range(1, 50):
        seen.seen(who)
    assert [r.getMessage() for r in caplog.records] == [
        "otel-accubooks: this process saw more than 24 visits in 2 hours; further ones are not counted"
    ]


def test_rows_of_the_long_silent_are_taken_again(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that lives for months does not keep a row for each user it ever saw."""
    monkeypatch.setattr(presence, "_ROWS", 8)
    monkeypatch.setattr(presence, "KEPT_SECONDS", -1.0)
    worker(folder, [str(number) for number in range(50)])
    assert tables(folder) == 1
