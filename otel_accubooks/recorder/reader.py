"""Reading a segment of any process, also while it is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.files import (
    close_mapped,
    effective_user,
    is_locked,
    is_open,
    map_file,
    open_regular,
)
from otel_accubooks.recorder.header import Header, published
from otel_accubooks.recorder.root import Root
from otel_accubooks.recorder.segment import Segment, SegmentError


@dataclass(frozen=True, slots=True)
class Record:
    """One series of a segment; its values are at `first`, `count` doubles."""

    kind: int
    key: bytes
    first: int
    count: int


class SegmentReader:
    """A segment in a file. What is mapped stays readable, also where the file is deleted."""

    _fd = -1
    memory = memoryview(b"")  # until it is mapped

    def __init__(self, path: Path) -> None:
        """Maps the file at `path`. Raises SegmentError for one that is not ours or is damaged."""
        self.name = path.name
        try:
            self._fd = open_regular(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SegmentError(f"{path} cannot be read: {error.strerror}") from error
        status = os.fstat(self._fd)
        self.inode = (status.st_dev, status.st_ino)
        if status.st_uid not in (effective_user(), 0, os.stat(path.parent).st_uid):
            raise SegmentError(f"{path} belongs to user {status.st_uid}: not read")
        if status.st_size < layout.HEADER_BYTES:
            raise SegmentError(f"{path} has {status.st_size} bytes, less than a header")
        self._attach(memoryview(map_file(self._fd, status.st_size)))

    def _attach(self, memory: memoryview) -> None:
        try:
            self.header = Header.read(memory)
        except ValueError as error:
            raise SegmentError(f"{self.name} {error}") from error
        whole = memory.cast("B")[: len(memory) // 8 * 8]
        self.memory = whole
        self._words: memoryview[int] = whole.cast("Q")
        self.values: memoryview[float] = whole.cast("d")
        self._at = layout.HEADER_BYTES
        self.parsed: list[Record] = []  # what `records` last told

    def __del__(self) -> None:
        try:
            if self._fd >= 0:
                close_mapped(self._fd, self.inode, self.memory)
        except (AttributeError, TypeError):
            pass  # Python is ending

    @property
    def pid(self) -> int:
        """The process that writes it."""
        return self.header.pid

    @property
    def root(self) -> Root:
        """The process in which the service was started."""
        return self.header.root

    def dead(self) -> bool:
        """True if no process holds the segment any more."""
        return is_open(self._fd, self.inode) and not is_locked(self._fd)

    def moved(self) -> bool:
        """True once its process has written all of it to another file."""
        return self._size() >= layout.HEADER_BYTES and self._words[layout.MOVED_AT // 8] != 0

    def records(self) -> list[Record]:
        """All records so far; those of earlier calls are not parsed again. Raises SegmentError."""
        # Touching what is not there any more would kill this process.
        size = self._size()
        if size < layout.HEADER_BYTES:
            raise SegmentError(f"{self.name} was cut off at {size} bytes")
        used = published(self._words)
        if used > len(self.memory) or used < layout.HEADER_BYTES:
            raise SegmentError(f"{self.name} claims {used} bytes of {len(self.memory)}")
        if used > size:
            raise SegmentError(f"{self.name} was cut off at {size} of {used} bytes")
        while self._at < used:
            if self._at + layout.HEAD.size > used:
                raise SegmentError(f"{self.name} is damaged at byte {self._at}")
            size, kind, count, length = layout.HEAD.unpack_from(self.memory, self._at)
            whole = size >= layout.HEAD.size + 8 * count + length and size % 8 == 0
            if not whole or self._at + size > used:
                raise SegmentError(f"{self.name} is damaged at byte {self._at}")
            first = (self._at + layout.HEAD.size) // 8
            key_at = (first + count) * 8
            key = bytes(self.memory[key_at : key_at + length])
            self.parsed.append(Record(kind, key, first, count))
            self._at += size
        return self.parsed

    def _size(self) -> int:
        return os.fstat(self._fd).st_size

    def content(self) -> bytes:
        """The segment as it is in its file."""
        self.records()
        return self.snapshot()

    def snapshot(self) -> bytes:
        """The bytes of the records of the last call of `records`."""
        return bytes(self.memory[: self._at])


class OwnSegmentReader(SegmentReader):
    """Reads this process's own segment through its mapping.

    Opening and closing the file would drop the lock that says that this process lives.
    """

    def __init__(self, writer: Segment) -> None:
        self.name = writer.name
        self.writer = writer
        self.inode = (0, 0)
        self._attach(memoryview(writer.memory))

    def dead(self) -> bool:
        """Never: it is this process that asks."""
        return False

    def _size(self) -> int:
        return len(self.memory)
