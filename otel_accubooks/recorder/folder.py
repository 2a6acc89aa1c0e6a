"""The folder that the processes of one service on one host share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SEGMENT_PREFIX = "segment-"
BASE_NAME = "base"


class FolderError(OSError):
    """A folder that cannot be used; the text says what was found and what to do."""


def default_parent() -> Path:
    """The place for service folders: shared memory where the system has it, else the temp folder."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder below it is private, and checked to be
    try:
        parent = shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
    except OSError:
        parent = shared  # no place at all: said once it is tried
    return parent / f"otel-accubooks-{os.getuid()}"


def service_key(identity: Mapping[str, str]) -> str:
    """A short name for a resource identity, so that two deployments on one host never mix."""
    text = "\n".join(f"{name}={identity[name]}" for name in sorted(identity))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def lock_file(fd: int, *, blocking: bool = False, shared: bool = False) -> bool:
    """Takes a POSIX lock, which dies with its process and is not inherited; True if it was had."""
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.lockf(fd, mode if blocking else mode | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def replace_file(path: Path, content: str | bytes) -> None:
    """Writes a file so that whoever reads it reads the old or the new one whole. Raises OSError."""
    hidden = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        hidden.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.rename(hidden, path)
    except OSError:
        hidden.unlink(missing_ok=True)
        raise


class StateFolder:
    """The segments, the base and the locks of one service, private to its user."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Makes the folder; FolderError where another user owns it or could write into it."""
        for folder in (self.path.parent, self.path):
            try:
                folder.mkdir(mode=0o700, exist_ok=True, parents=True)
            except OSError as error:
                raise FolderError(f"{folder} cannot be made: {error.strerror}") from error
        self._check(self.path.parent, owners=(os.getuid(), 0))
        self._check(self.path, owners=(os.getuid(),))

    @staticmethod
    def _check(folder: Path, owners: tuple[int, ...]) -> None:
        found = folder.lstat()
        if found.st_uid not in owners or not stat.S_ISDIR(found.st_mode):
            raise FolderError(
                f"{folder} belongs to user {found.st_uid}, expected a folder of user {os.getuid()}: "
                "remove it, or name another place in OTEL_ACCUBOOKS_STATE_DIR"
            )
        # Who may write into it could put another folder in the place of ours. Sticky forbids that,
        # which is enough for the folder above.
        sticky = found.st_mode & stat.S_ISVTX and len(owners) > 1
        if found.st_mode & 0o022 and not sticky:
            raise FolderError(f"{folder} can be written by others: chmod go-w {folder}")

    @property
    def base(self) -> Path:
        return self.path / BASE_NAME

    @property
    def socket(self) -> Path:
        return self.path / "exporter.sock"

    def segments(self) -> list[str]:
        """Names of the segments, of the living and of the dead."""
        try:
            return [n for n in os.listdir(self.path) if n.startswith(SEGMENT_PREFIX)]
        except FileNotFoundError:
            return []

    def open_lock(self, name: str) -> int:
        """A descriptor for the lock file `name`. Closing it drops the lock: open it once."""
        return os.open(self.path / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_lock(self, name: str) -> int | None:
        """The descriptor that holds the lock `name`, or None while another process holds it."""
        fd = self.open_lock(name)
        if lock_file(fd):
            return fd
        os.close(fd)
        return None

    @contextmanager
    def membership(self, *, leaving: bool = False) -> Iterator[None]:
        """Joining (shared) against removing the folder (exclusive, `leaving`).

        Raises FolderError where the folder was removed while this waited: make it, and try again.
        """
        fd = self.open_lock("folder")
        try:
            lock_file(fd, blocking=True, shared=not leaving)
            try:
                same = os.stat(self.path / "folder.lock").st_ino == os.fstat(fd).st_ino
            except FileNotFoundError:
                same = False
            if not same:
                raise FolderError(f"{self.path} was removed")
            yield
        finally:
            os.close(fd)

    def remove(self) -> None:
        """Removes the folder and all that is in it."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_uid != os.getuid():
                raise FolderError(f"{self.path} belongs to another user: not removed")
            for name in os.listdir(fd):
                os.unlink(name, dir_fd=fd)
        finally:
            os.close(fd)
        os.rmdir(self.path)
