"""A process that gives up root's rights takes the service's folder along."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_accubooks.launch.user_switch import hand_over_with_user
from otel_accubooks.recorder.folder import StateFolder
from tests.recorder.processes import in_child

USER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[StateFolder]:
    with tempfile.TemporaryDirectory() as above:
        os.chmod(above, 0o755)
        yield StateFolder(Path(above) / "services" / "one")


def owner_after(folder: StateFolder, switch: Callable[[], object]) -> int | None:
    """Who owns the folder after a process did `switch`; None if it was never made."""

    def child() -> None:
        hand_over_with_user(lambda: folder)
        switch()

    assert in_child(child) == 0
    return folder.path.stat().st_uid if folder.path.exists() else None


@needs_root
@pytest.mark.parametrize(
    "switch",
    [
        lambda: os.setuid(USER),
        lambda: os.setreuid(USER, USER),
        lambda: os.setresuid(USER, USER, USER),
    ],
)
def test_it_is_handed_over_before_the_switch(
    folder: StateFolder, switch: Callable[[], object]
) -> None:
    """Whichever call does it."""
    assert owner_after(folder, switch) == USER


@needs_root
@pytest.mark.parametrize(
    "switch",
    [
        lambda: os.setuid(0),
        lambda: os.setreuid(-1, -1),
        lambda: os.setresuid(0, 0, 0),
        lambda: os.seteuid(USER),
        lambda: os.setreuid(-1, USER),
        lambda: os.setresuid(USER, USER, 0),
    ],
)
def test_root_that_may_come_back_keeps_it(
    folder: StateFolder, switch: Callable[[], object]
) -> None:
    """Root that stays root, or does something for another user, keeps its folder to itself."""
    assert owner_after(folder, switch) is None


@needs_root
def test_errors_are_the_systems_own(folder: StateFolder) -> None:
    """What the application did wrong it is told as ever; going back is refused as ever."""

    def wrong() -> None:
        with pytest.raises(TypeError):
            os.setuid("nobody")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            os.setuid()  # type: ignore[call-arg]
        os.setuid(USER)
        with pytest.raises(PermissionError):
            os.setuid(0)

    assert owner_after(folder, wrong) == USER


def test_another_user_is_not_watched(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root has nothing to hand over, and nothing is wrapped."""
    original = os.setuid
    monkeypatch.setattr(os, "geteuid", lambda: USER)
    hand_over_with_user(lambda: folder)
    assert os.setuid is original
