"""A segment: the shared memory that one process writes and every process may read."""

from __future__ import annotations

import mmap
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.folder import SEGMENT_PREFIX, StateFolder, lock_file


class SegmentError(Exception):
    """A segment that is full, damaged, or of another version."""


@dataclass(frozen=True)
class Root:
    """The process in which the service was started; it outlives workers that come and go."""

    pid: int
    ticks: int
    started: float

    @classmethod
    def of_this_process(cls) -> Root:
        return cls(os.getpid(), process_ticks(os.getpid()) or 0, time.time())

    def alive(self) -> bool:
        """True while the process runs: same id, same time of start."""
        return self.ticks > 0 and process_ticks(self.pid) == self.ticks


def process_ticks(pid: int) -> int | None:
    """When the process was started, in clock ticks since boot (proc(5), stat, field 22)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] == b"Z" else int(fields[19])


# Segments of this process, by name. Opening and closing such a file would drop its lock.
own: dict[str, SegmentWriter] = {}


class SegmentWriter:
    """This process's own segment. Its descriptor holds the lock that says that it lives."""

    def __init__(self, folder: StateFolder, root: Root) -> None:
        self.name = f"{SEGMENT_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
        self._path = folder.path / self.name
        hidden = folder.path / f".{self.name}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(hidden, flags, 0o600)
        try:
            lock_file(self._fd)
            self._reserved = 0
            self._reserve(layout.HEADER_BYTES)
            os.ftruncate(self._fd, layout.CAPACITY_BYTES)
            self.memory = mmap.mmap(self._fd, layout.CAPACITY_BYTES)
            self.values = memoryview(self.memory).cast("d")
            self.used = layout.HEADER_BYTES
            layout.HEADER.pack_into(
                self.memory, 0, layout.MAGIC, os.getpid(), root.pid, root.ticks, root.started
            )
            self._publish()
            own[self.name] = self
            os.rename(hidden, folder.path / self.name)
        except BaseException:
            own.pop(self.name, None)
            os.unlink(hidden)
            os.close(self._fd)
            raise

    def _reserve(self, needed: int) -> None:
        # A page that the file system cannot give kills the process that touches it (SIGBUS).
        while self._reserved < needed:
            os.posix_fallocate(self._fd, self._reserved, layout.RESERVE_BYTES)
            self._reserved += layout.RESERVE_BYTES

    def _publish(self) -> None:
        layout.USED.pack_into(self.memory, layout.USED_AT, self.used)

    def append(self, kind: int, key: bytes, values: list[float]) -> int:
        """Adds a record; returns the index of its first value in `values`, a view of doubles.

        Raises SegmentError where the segment is full, OSError where the file system is.
        """
        size = layout.record_bytes(len(values), key)
        at = self.used
        if at + size > layout.CAPACITY_BYTES:
            raise SegmentError(f"segment {self.name} is full ({layout.CAPACITY_BYTES} bytes)")
        self._reserve(at + size)
        layout.HEAD.pack_into(self.memory, at, size, kind, len(values), len(key))
        first = (at + layout.HEAD.size) // 8
        for index, value in enumerate(values, first):
            self.values[index] = value
        key_at = (first + len(values)) * 8
        self.memory[key_at : key_at + len(key)] = key
        self.used = at + size
        self._publish()
        return first

    def discard(self) -> None:
        """Takes back a segment that could not be filled."""
        self._path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """In a forked child: lets go of the parent's segment, whose lock stays the parent's."""
        own.pop(self.name, None)
        os.close(self._fd)


@dataclass(frozen=True)
class Record:
    """One series of a segment; its values are at `first`, `count` doubles."""

    kind: int
    key: bytes
    first: int
    count: int


class SegmentReader:
    """Reads the segment of any process, also while it is written."""

    def __init__(self, path: Path) -> None:
        """Maps the file at `path`. Raises SegmentError for one that is not ours or is damaged."""
        self.name = path.name
        with open(path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid():
                raise SegmentError(f"{path} belongs to user {status.st_uid}: not read")
            if status.st_size < layout.HEADER_BYTES:
                raise SegmentError(f"{path} has {status.st_size} bytes, less than a header")
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._attach(memoryview(self._memory))

    def _attach(self, memory: memoryview) -> None:
        magic, self.pid, pid, ticks, started = layout.HEADER.unpack_from(memory, 0)
        if magic != layout.MAGIC:
            raise SegmentError(f"{self.name} starts with {magic!r}, expected {layout.MAGIC!r}")
        self.root = Root(pid, ticks, started)
        self._bytes = memory
        self.values = memory.cast("B")[: len(memory) // 8 * 8].cast("d")
        self._at = layout.HEADER_BYTES
        self._records: list[Record] = []

    def records(self) -> list[Record]:
        """All records so far; those of earlier calls are not parsed again."""
        (used,) = layout.USED.unpack_from(self._bytes, layout.USED_AT)
        if used > len(self._bytes) or used < layout.HEADER_BYTES:
            raise SegmentError(f"{self.name} claims {used} bytes of {len(self._bytes)}")
        while self._at < used:
            size, kind, count, length = layout.HEAD.unpack_from(self._bytes, self._at)
            if size < layout.HEAD.size + 8 * count + length or self._at + size > used:
                raise SegmentError(f"{self.name} is damaged at byte {self._at}")
            first = (self._at + layout.HEAD.size) // 8
            key_at = (first + count) * 8
            key = bytes(self._bytes[key_at : key_at + length])
            self._records.append(Record(kind, key, first, count))
            self._at += size
        return self._records


class OwnSegmentReader(SegmentReader):
    """Reads this process's own segment through its mapping.

    Opening and closing the file would drop the lock that says that this process lives.
    """

    def __init__(self, writer: SegmentWriter) -> None:
        self.name = writer.name
        self._attach(memoryview(writer.memory))
