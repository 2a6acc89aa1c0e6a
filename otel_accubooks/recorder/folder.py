"""The folder that the processes of one service on one host share."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from otel_accubooks.recorder.files import (
    create,
    effective_user,
    lock_file,
    open_or_create,
    open_regular,
    sharing_is_possible,
)
from otel_accubooks.recorder.segment import SEGMENT_PREFIX
from otel_accubooks.recorder.unpatched import sleep

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE_NAME = "base"
_ENTER = 0o011  # to pass through, not to list
# Who removes a folder takes milliseconds; a request may be waiting.
_OTHERS_SECONDS = 0.25
_LOOK_SECONDS = 0.002


class FolderError(OSError):
    """A folder that cannot be used; the text says what was found and what to do."""


def default_parent() -> Path:
    """The place for service folders: shared memory where the system has it, else the temp folder."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder below it is private, and checked to be
    try:
        parent = shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
    except OSError:
        parent = shared  # no place at all: said once it is tried
    return parent / f"otel-accubooks-{effective_user()}"


def service_key(identity: Mapping[str, str]) -> str:
    """A short name for a resource identity, so that two deployments on one host never mix."""
    text = "\n".join(f"{name}={identity[name]}" for name in sorted(identity))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


class StateFolder:
    """The segments, the base and the locks of one service, private to its user."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._origin: tuple[int, int] | None = None

    def make(self) -> None:
        """Makes the folder; FolderError where another user owns it or could write into it.

        Root also takes one that it handed over to another user, where root alone could have made it.
        """
        if not sharing_is_possible():
            raise FolderError("this system has no file locks, by which processes find each other")
        for folder in (self.path.parent, self.path):
            try:
                folder.mkdir(mode=0o700, exist_ok=True, parents=True)
            except OSError as error:
                raise FolderError(f"{folder} cannot be made: {error.strerror}") from error
        try:
            self._check(self.path.parent, above=True)
            self._check(self.path)
        except FileNotFoundError as error:
            raise FolderError(f"{self.path} was removed") from error

    def _check(self, folder: Path, *, above: bool = False) -> None:
        found = folder.lstat()
        user = effective_user()
        owners = (user, 0) if above else (user,)
        trusted = found.st_uid in owners or (not above and user == 0 and self._roots_alone())
        if not trusted or not stat.S_ISDIR(found.st_mode):
            raise FolderError(
                f"{folder} belongs to user {found.st_uid}, expected a folder of user {user}: "
                "remove it, or name another place in OTEL_ACCUBOOKS_STATE_DIR"
            )
        # Who may write into it could put another folder in the place of ours. Sticky forbids that,
        # which is enough for the folder above.
        sticky = found.st_mode & stat.S_ISVTX and above
        if found.st_mode & 0o022 and not sticky:
            raise FolderError(f"{folder} can be written by others: chmod go-w {folder}")

    def _roots_alone(self) -> bool:
        above = self.path.parent.lstat()
        return above.st_uid == 0 and not above.st_mode & 0o022

    def hand_over(self, user: int) -> None:
        """As root: gives the folder, and what is in it, to the user id that is to work in it.

        Raises FolderError where others than root could have put something in its place.
        """
        self.make()
        if not self._roots_alone():
            raise FolderError(
                f"{self.path} is not handed to user {user}: {self.path.parent} can be written by "
                "others than root; name another place in OTEL_ACCUBOOKS_STATE_DIR"
            )
        above = self.path.parent.stat().st_mode
        if above & _ENTER != _ENTER:
            self.path.parent.chmod(stat.S_IMODE(above) | _ENTER)
        before = self.path.stat().st_uid
        os.chown(self.path, user, -1)
        # Twice: a file may get its name while the names are read.
        for name in [*os.listdir(self.path), *os.listdir(self.path)]:
            self._give(self.path / name, user, owners=(0, before))

    @staticmethod
    def _give(path: Path, user: int, owners: tuple[int, int]) -> None:
        try:
            fd = open_regular(path)
        except OSError:
            return  # gone, or no file: whoever may enter the folder may use its socket
        try:
            found = os.fstat(fd)
            # A file with a second name may be one of root's, linked here to be handed over.
            if found.st_uid != user and found.st_uid in owners and found.st_nlink == 1:
                os.fchown(fd, user, -1)
        finally:
            os.close(fd)

    @property
    def base(self) -> Path:
        return self.path / BASE_NAME

    @property
    def socket(self) -> Path:
        return self.path / "exporter.sock"

    def segments(self) -> list[str]:
        """Names of the segments, of the living and of the dead; none where there is no folder."""
        try:
            return sorted(n for n in os.listdir(self.path) if n.startswith(SEGMENT_PREFIX))
        except OSError:
            return []

    def lock_path(self, name: str) -> Path:
        return self.path / f"{name}.lock"

    def open_lock(self, name: str) -> int:
        """A descriptor for the lock file `name`. Closing it drops the lock: open it once."""
        return open_or_create(self.lock_path(name))

    def try_lock(self, name: str) -> int | None:
        """The descriptor that holds the lock `name`, or None while another process holds it."""
        fd = self.open_lock(name)
        if lock_file(fd):
            return fd
        os.close(fd)
        return None

    def origin(self) -> tuple[int, int]:
        """Which life of the folder this is: inode and time (ns) of its first file. Raises OSError.

        Once seen it stays: a folder that is made anew, after it was deleted, is the same to us.
        """
        if self._origin is None:
            found = os.lstat(self.lock_path("folder"))
            self._origin = found.st_ino, found.st_mtime_ns
        return self._origin

    def first_to_say(self, what: str) -> bool:
        """True for one process of the service, in one life of its folder: it may log `what`."""
        try:
            self.note_said(what)
        except FileExistsError:
            return False
        except OSError:
            pass  # no room to note it
        return True

    def note_said(self, what: str) -> None:
        """Notes that `what` was said. Raises FileExistsError if it is noted, else OSError."""
        os.close(create(self._said(what)))

    def take_back(self, what: str) -> None:
        """Forgets that `what` was said. Raises OSError, where it was not said too."""
        os.unlink(self._said(what))

    def _said(self, what: str) -> Path:
        digest = hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:16]
        return self.path / f"said-{digest}"

    @contextmanager
    def membership(self, *, leaving: bool = False) -> Iterator[None]:
        """Joining (shared) against removing the folder (exclusive, `leaving`).

        Raises FolderError where the folder was removed while this waited: make it, and try again; and
        OSError where another process holds it and does not go on (a debugger has it, or SIGSTOP).
        """
        fd = self.open_lock("folder")
        try:
            give_up = monotonic() + _OTHERS_SECONDS
            while not lock_file(fd, shared=not leaving):
                if monotonic() >= give_up:
                    raise OSError(errno.EBUSY, "held by a process that does not go on")
                sleep(_LOOK_SECONDS)
            try:
                same = os.lstat(self.lock_path("folder")).st_ino == os.fstat(fd).st_ino
            except FileNotFoundError:
                same = False
            if not same:
                raise FolderError(f"{self.path} was removed")
            yield
        finally:
            os.close(fd)

    def remove(self) -> None:
        """Removes the folder and all that is in it; where it was handed over, it is left empty."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if effective_user() not in (0, os.fstat(fd).st_uid):
                raise FolderError(f"{self.path} belongs to another user: not removed")
            for name in os.listdir(fd):
                os.unlink(name, dir_fd=fd)
        finally:
            os.close(fd)
        try:
            os.rmdir(self.path)
        except PermissionError:
            pass  # the folder above is root's
