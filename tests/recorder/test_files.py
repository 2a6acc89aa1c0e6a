"""Files and folders that root shares with a lesser user, who might want more than that."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder.files import create, open_or_create, open_regular, replace_file
from otel_accubooks.recorder.folder import FolderError, StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.recorder import Recorder
from tests.recorder.processes import in_child, read, record_and_die

USER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand a folder over")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Neither for reading, nor for writing, nor for making."""
    (tmp_path / "secret").write_text("untouched")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    for action in (open_regular, open_or_create, create):
        with pytest.raises(OSError, match=r"symbolic links|File exists"):
            action(tmp_path / "link")
    replace_file(tmp_path / "link", "new")
    assert (tmp_path / "secret").read_text() == "untouched"
    assert not (tmp_path / "link").is_symlink()


def test_what_a_killed_process_left_half_written_is_no_hindrance(tmp_path: Path) -> None:
    """Its process id may come again."""
    (tmp_path / f".file-{os.getpid()}").symlink_to(tmp_path / "elsewhere")
    replace_file(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["file"]


def test_files_are_private(tmp_path: Path) -> None:
    """Whatever the umask."""
    mask = os.umask(0)
    try:
        replace_file(tmp_path / "file", "new")
        os.close(open_or_create(tmp_path / "lock"))
    finally:
        os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.fixture
def shared() -> Iterator[StateFolder]:
    """A folder where another user can get at it."""
    with tempfile.TemporaryDirectory() as above:
        os.chmod(above, 0o755)
        yield StateFolder(Path(above) / "services" / "one")


def become(user: int) -> None:
    os.setgid(user)
    os.setuid(user)


def count_as(folder: StateFolder, user: int | None, number: int) -> None:
    def work(recorder: Recorder) -> None:
        if user is not None:
            become(user)
        recorder.counter(m.CACHE_HITS_TOTAL).labels().add(number)
        assert recorder.segment is not None

    record_and_die(folder, work)


@needs_root
def test_both_count_in_a_folder_that_was_handed_over(shared: StateFolder) -> None:
    """What root began, before and after, and what the other user did: each can read and fold all."""
    count_as(shared, None, 1)
    shared.hand_over(USER)
    count_as(shared, None, 10)
    count_as(shared, USER, 100)

    def fold() -> None:
        become(USER)
        Folding(shared).fold()
        assert read(shared, m.CACHE_HITS_TOTAL) == {(): 111}
        assert shared.segments() == []

    assert in_child(fold) == 0
    count_as(shared, None, 1000)
    count_as(shared, USER, 10_000)
    Folding(shared).fold()
    assert read(shared, m.CACHE_HITS_TOTAL) == {(): 11_111}
    assert {path.stat().st_uid for path in shared.path.iterdir()} == {USER}
    assert in_child(lambda: (become(USER), shared.remove())) == 0
    assert list(shared.path.iterdir()) == []


@needs_root
def test_it_goes_to_the_next_user_too(shared: StateFolder) -> None:
    """A service that is started again for somebody else."""
    count_as(shared, None, 1)
    shared.hand_over(USER)
    count_as(shared, USER, 1)
    shared.hand_over(USER + 1)
    count_as(shared, USER + 1, 1)
    assert read(shared, m.CACHE_HITS_TOTAL) == {(): 3}


@needs_root
def test_a_file_of_root_that_was_linked_into_it_is_not_handed_over(shared: StateFolder) -> None:
    """Under a second name, or a symbolic one."""
    shared.make()
    secret = shared.path.parent / "secret"
    secret.write_text("root's")
    os.link(secret, shared.path / "hard")
    (shared.path / "soft").symlink_to(secret)
    shared.hand_over(USER)
    assert secret.stat().st_uid == 0


@needs_root
def test_it_is_handed_over_only_where_root_alone_could_make_it(shared: StateFolder) -> None:
    """In a place that others can write to, root would take another user's folder for its own."""
    shared.path.parent.mkdir()
    shared.path.parent.chmod(0o1777)
    with pytest.raises(FolderError, match=f"is not handed to user {USER}: .* can be written by"):
        shared.hand_over(USER)
    os.chown(shared.path, USER, USER)
    with pytest.raises(FolderError, match=f"belongs to user {USER}, expected a folder of user 0"):
        shared.make()


@needs_root
def test_the_folder_above_can_be_entered_but_not_listed(shared: StateFolder) -> None:
    """Others see no names of services, and root's stay its own."""
    shared.hand_over(USER)
    assert shared.path.parent.stat().st_mode & 0o777 == 0o711
    assert shared.path.stat().st_mode & 0o777 == 0o700
