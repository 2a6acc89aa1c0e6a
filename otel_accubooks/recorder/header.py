"""The header of a segment: who writes it, and how far it is written."""

from __future__ import annotations

from typing import Any, NamedTuple

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.root import Root, is_alive
from otel_accubooks.recorder.unpatched import allocate_lock


class Header(NamedTuple):
    """What a segment says of its process, which started at `ticks` (see Root).

    `limit` is how many series it lets a metric have. `origin` tells which life of the service this
    is, as inode and time (ns) of the lock file that the first of its processes found; (0, 0): none.
    """

    pid: int
    ticks: int
    root: Root
    limit: int
    origin: tuple[int, int]

    def process_alive(self) -> bool:
        """True while the process runs, as far as this one can see."""
        return is_alive(self.pid, self.ticks)

    def write(self, memory: Any) -> None:
        """Writes it at the start of `memory`."""
        root = self.root
        words = (root.pid, root.ticks, root.started, self.ticks, self.limit, *self.origin)
        layout.HEADER.pack_into(memory, 0, layout.MAGIC, self.pid, *words)

    @classmethod
    def read(cls, memory: Any) -> Header:
        """Raises ValueError where `memory` does not start with one."""
        magic, pid, *of_root, ticks, limit, inode, time_ns = layout.HEADER.unpack_from(memory, 0)
        if magic != layout.MAGIC:
            raise ValueError(f"starts with {magic!r}, expected {layout.MAGIC!r}")
        return cls(pid, ticks, Root(*of_root), limit, (inode, time_ns))


def publish(words: memoryview[int], used: int) -> None:
    """Says that the first `used` bytes are written. `words` is the memory by 8 bytes.

    One aligned store, after all that it tells of: see `_in_order`.
    """
    _in_order()
    words[layout.USED_AT // 8] = used


def published(words: memoryview[int]) -> int:
    """How many bytes are written. What is read afterwards is at least that new."""
    used = words[layout.USED_AT // 8]
    _in_order()
    return used


def _in_order() -> None:
    # ARM may reorder plain reads and writes. A lock that is released and taken again is a release
    # followed by an acquire, which nothing passes in either direction.
    lock = allocate_lock()
    lock.acquire()
    lock.release()
    lock.acquire()
