"""The bytes of a segment: a header page, then records that are appended and never moved.

A record is a head (size in bytes, kind, number of values, length of the key), the values as doubles,
and the key: a metric's name and its label values, each behind a unit separator. `used` in the header
is written last, so that whoever reads up to it reads whole records. Values and `used` are written and
read as aligned words of 8 bytes in the machine's order: never half of one (see `header`).
"""

from __future__ import annotations

import struct
from typing import Final

MAGIC: Final = b"OTACCB02"
HEADER_BYTES: Final = 4096
CAPACITY_BYTES: Final = 16 * 1024 * 1024
RESERVE_BYTES: Final = 64 * 1024

# magic, process id, root process id, start of the root process (see Root), time at which the root
# process was started (Unix seconds), start of the process, series limit, origin (see Header)
HEADER: Final = struct.Struct("<8sIIQdQQQQ")
USED_AT: Final = 64
MOVED_AT: Final = 72  # 1 once all of it is in another file of its process
HEAD: Final = struct.Struct("<IIII")

COUNTER: Final = 1  # created, value
HISTOGRAM: Final = 2  # created, sum, a count for each bucket
GAUGE: Final = 3  # value
PRESENCE: Final = 4  # of users: rows of `presence`, or until when each was counted (`visits`)
FOLDED: Final = 5  # no value; the key is the name of a segment that the base already holds
EXEMPLARS: Final = 8  # of the histogram with the same key: a row of `exemplars` for each bucket
KINDS: Final = {"counter": COUNTER, "histogram": HISTOGRAM, "gauge": GAUGE}
OVERFLOW: Final = 16  # added to a kind: the series that takes what the limit refuses

SEPARATOR: Final = "\x1f"


def record_bytes(values: int, key: bytes) -> int:
    """Size of a record of `values` doubles under `key`, a multiple of 8."""
    return HEAD.size + 8 * values + (len(key) + 7) // 8 * 8


def make_key(metric: str, labels: tuple[str, ...]) -> bytes:
    return SEPARATOR.join((metric, *labels)).encode("utf-8", "replace")


def split_key(key: bytes) -> tuple[str, tuple[str, ...]]:
    metric, *labels = key.decode("utf-8", "replace").split(SEPARATOR)
    return metric, tuple(labels)
