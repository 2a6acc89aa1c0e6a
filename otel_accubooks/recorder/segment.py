"""A segment: the memory that one process writes, and that every process may read."""

from __future__ import annotations

import errno
import mmap
import os
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.files import (
    close_mapped,
    create,
    inode_of,
    is_open,
    lock_file,
    map_file,
)
from otel_accubooks.recorder.header import Header, publish

if TYPE_CHECKING:
    from otel_accubooks.recorder.folder import StateFolder

SEGMENT_PREFIX = "segment-"
_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


class SegmentError(Exception):
    """A segment that is full, damaged, or of another version."""


class SegmentBusy(SegmentError):
    """A signal came while a record was written, and its handler wants to write another."""


# Segments of this process, by name. Opening and closing such a file would drop its lock.
own: dict[str, Segment] = {}


class Segment:
    """Memory with a header, to which records are appended."""

    def __init__(self, name: str, folder: StateFolder | None, memory: Any, header: Header) -> None:
        """`memory` has CAPACITY_BYTES at most, all of them 0."""
        self.name = name
        self.folder = folder
        self.pid = header.pid
        self.memory = memory
        self.values: memoryview[float] = memoryview(memory).cast("d")
        self._words: memoryview[int] = memoryview(memory).cast("Q")
        self._capacity = len(memory)
        self._used = layout.HEADER_BYTES
        self._appending = False
        header.write(memory)
        publish(self._words, self._used)

    def append(self, kind: int, key: bytes, values: list[float]) -> int:
        """Adds a record; returns the index of its first value in `values`, a view of doubles.

        Raises SegmentError where the segment is full, OSError where the file system is.
        """
        if self._appending:
            raise SegmentBusy(f"a signal came while {self.name} was written")
        self._appending = True
        try:
            return self._append(kind, key, values)
        finally:
            self._appending = False

    def _append(self, kind: int, key: bytes, values: list[float]) -> int:
        size = layout.record_bytes(len(values), key)
        at = self._used
        room = min(self._capacity, layout.CAPACITY_BYTES)
        if at + size > room:
            raise SegmentError(f"segment {self.name} is full ({room} bytes)")
        self._reserve(at + size)
        layout.HEAD.pack_into(self.memory, at, size, kind, len(values), len(key))
        first = (at + layout.HEAD.size) // 8
        for index, value in enumerate(values, first):
            self.values[index] = value
        key_at = (first + len(values)) * 8
        self.memory[key_at : key_at + len(key)] = key
        self._used = at + size
        publish(self._words, self._used)
        return first

    def _reserve(self, needed: int) -> None:
        """Makes sure that the first `needed` bytes can be written. Raises OSError."""


class MemorySegment(Segment):
    """A segment of this process alone, for what cannot be shared. It is gone with its process."""

    def __init__(self, folder: StateFolder | None, header: Header) -> None:
        memory = _memory()
        super().__init__(f"memory-{header.pid}-{secrets.token_hex(6)}", folder, memory, header)
        self.told = False
        own[self.name] = self


def _mapped(mapping: Callable[[int], mmap.mmap]) -> mmap.mmap:
    # Pages that were never touched cost nothing, but where address space is scarce.
    try:
        return mapping(layout.CAPACITY_BYTES)
    except OSError:
        return mapping(layout.CAPACITY_BYTES // 16)


def _memory() -> mmap.mmap | bytearray:
    try:
        return _mapped(lambda size: mmap.mmap(-1, size, flags=_PRIVATE))
    except OSError:
        return bytearray(layout.RESERVE_BYTES)


class SegmentWriter(Segment):
    """This process's own segment in the folder. Its descriptor holds the lock that says that it lives."""

    def __init__(self, folder: StateFolder, header: Header, name: str | None = None) -> None:
        """Nobody sees it until `show`. Raises OSError."""
        name = name or f"{SEGMENT_PREFIX}{header.pid}-{secrets.token_hex(6)}"
        self._path = folder.path / name
        self._hidden = folder.path / f".{name}-{secrets.token_hex(4)}"
        self._fd = create(self._hidden)
        try:
            lock_file(self._fd)
            self._inode = inode_of(self._fd)
            self._reserved = 0
            self._reserve(layout.HEADER_BYTES)
            super().__init__(name, folder, _mapped(self._map), header)
        except BaseException:
            os.unlink(self._hidden)
            os.close(self._fd)
            raise

    def _map(self, size: int) -> mmap.mmap:
        os.ftruncate(self._fd, size)
        return map_file(self._fd, size, write=True)

    def _reserve(self, needed: int) -> None:
        # A page that the file system cannot give kills the process that touches it (SIGBUS).
        while self._reserved < needed:
            if not is_open(self._fd, self._inode):
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._fd, self._reserved, layout.RESERVE_BYTES)
            else:
                os.pwrite(self._fd, bytes(layout.RESERVE_BYTES), self._reserved)
            self._reserved += layout.RESERVE_BYTES

    def show(self) -> None:
        """From now on others see it, instead of one with the same name. Raises OSError."""
        before = own.get(self.name)
        own[self.name] = self
        try:
            os.rename(self._hidden, self._path)
        except BaseException:
            if before is None:
                del own[self.name]
            else:
                own[self.name] = before
            raise

    def discard(self) -> None:
        """Takes back a segment that nobody has seen yet."""
        try:
            os.unlink(self._hidden)
        except OSError:
            pass  # gone with its folder
        self.close()

    def lost(self) -> bool:
        """True once its file was deleted, or replaced, under this process."""
        try:
            return os.lstat(self._path).st_ino != self._inode[1]
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    def leave(self) -> None:
        """Says to who holds it, deleted, that the counts are in another file by now."""
        self._words[layout.MOVED_AT // 8] = 1

    def close(self) -> None:
        """Lets go of the lock. In a forked child: of the parent's segment, whose lock stays."""
        if own.get(self.name) is self:
            del own[self.name]
        close_mapped(self._fd, self._inode, self.memory)
