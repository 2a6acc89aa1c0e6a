"""Users and sessions, distinct over processes."""

from __future__ import annotations

import os
import time

import pytest

from otel_accubooks.recorder import fork, presence
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.presence import USERS, Presence, active, deployment_secret, hashed
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader


def worker(folder: StateFolder, users: list[str], left: tuple[str, ...] = ()) -> None:
    """A process that sees `users`, of which `left` log out, and dies."""
    pid = os.fork()
    if pid == 0:
        fork.generation[0] = 0
        seen = Presence(USERS, Recorder(folder).attach)
        key = deployment_secret(folder.path)
        for user in users:
            seen.seen(hashed(key, user))
        for user in left:
            seen.left(hashed(key, user))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def count(folder: StateFolder, silence: float = 300.0) -> int:
    return active(ServiceReader(folder).read().presence.get(USERS, {}), time.time(), silence)


def test_a_user_on_two_workers_is_one(folder: StateFolder) -> None:
    """Distinct users over processes, the living and the folded."""
    worker(folder, ["ann", "bob"])
    worker(folder, ["bob", "cid"])
    assert count(folder) == 3
    Folding(folder).fold()
    assert count(folder) == 3


def test_who_left_is_not_active(folder: StateFolder) -> None:
    """A logout on another worker ends the session; a later sign of life begins it again."""
    worker(folder, ["ann"])
    worker(folder, [], left=("ann",))
    assert count(folder) == 0
    worker(folder, ["ann"])
    assert count(folder) == 1


def test_the_silent_are_not_active(folder: StateFolder) -> None:
    """Beyond the given silence nobody counts."""
    worker(folder, ["ann"])
    rows = ServiceReader(folder).read().presence[USERS]
    assert active(rows, time.time() + 299, 300) == 1
    assert active(rows, time.time() + 301, 300) == 0


def test_ids_are_nowhere_in_the_folder(folder: StateFolder) -> None:
    """A user's id is kept as a keyed hash only."""
    worker(folder, ["ann@example.com"])
    for path in folder.path.iterdir():
        assert b"ann@example.com" not in path.read_bytes()


def test_more_users_than_a_table_has_rows(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all rows are taken by active users, another table is begun."""
    monkeypatch.setattr(presence, "_ROWS", 8)
    worker(folder, [str(number) for number in range(50)])
    assert count(folder) == 50


def test_rows_of_the_long_silent_are_taken_again(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that lives for months does not keep a row for each user it ever saw."""
    monkeypatch.setattr(presence, "_ROWS", 8)
    monkeypatch.setattr(presence, "SESSION_SILENCE_SECONDS", -1.0)
    worker(folder, [str(number) for number in range(50)])
    records = [record for name in folder.segments() for record in presence_records(folder, name)]
    assert len(records) == 1


def presence_records(folder: StateFolder, name: str) -> list[object]:
    from otel_accubooks.recorder.segment import SegmentReader

    return list(SegmentReader(folder.path / name).records())
