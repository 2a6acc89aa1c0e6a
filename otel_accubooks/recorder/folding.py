"""Folding the dead: their counts move into the base, once only, whenever this is interrupted."""

from __future__ import annotations

import os
from array import array
from logging import getLogger

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.folder import StateFolder, lock_file, replace_file
from otel_accubooks.recorder.segment import SegmentError, SegmentReader
from otel_accubooks.recorder.totals import Totals

_log = getLogger("otel_accubooks")


def is_dead(folder: StateFolder, name: str) -> bool:
    """True if no process holds the segment `name`. Never ask it of this process's own segment."""
    try:
        fd = os.open(folder.path / name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return lock_file(fd)
    finally:
        os.close(fd)


def read_base(folder: StateFolder) -> Totals:
    """The totals of the dead; empty where there are none yet."""
    totals = Totals()
    try:
        totals.add(SegmentReader(folder.base))
    except FileNotFoundError:
        pass
    return totals


class Folding:
    """Moves the dead of a service into its base. Only the holder of the exporter's lock may.

    The base is replaced by a rename and names the segments that it holds; only then are they
    unlinked. Whoever is killed in between leaves segments that the base names: they are skipped.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._refused: set[str] = set()

    def fold(self) -> list[str]:
        """Folds every dead segment; returns the names of the living ones."""
        names = [n for n in self._folder.segments() if n not in self._refused]
        dead = [name for name in names if is_dead(self._folder, name)]
        if dead:
            base = read_base(self._folder)
            for name in dead:
                if name not in base.folded:
                    self._add(base, name)
            base.folded = {name for name in dead if name not in self._refused}
            try:
                self._write(base)
            except OSError as error:
                # No room: the dead stay, and are read where they are.
                _log.warning("otel-accubooks: %s: %s", self._folder.path, error.strerror)
                return [name for name in names if name not in dead]
            for name in base.folded:
                os.unlink(self._folder.path / name)
        return [name for name in names if name not in dead]

    def _add(self, base: Totals, name: str) -> None:
        try:
            # Read on its own first, so that a damaged segment adds nothing.
            reader = SegmentReader(self._folder.path / name)
            reader.records()
            base.add(reader, gauges=False)
        except (SegmentError, OSError) as error:
            self._refused.add(name)
            _log.warning("otel-accubooks: a segment is not counted, and kept: %s", error)

    def _write(self, base: Totals) -> None:
        parts = [_record(layout.FOLDED, name.encode(), []) for name in sorted(base.folded)]
        for (key, overflow), point in base.points.items():
            flag = layout.OVERFLOW if overflow else 0
            if point.metric.type == "counter":
                parts.append(_record(layout.COUNTER | flag, key, [point.start, point.value]))
            elif point.metric.type == "histogram":
                row = [point.start, point.total, *point.counts]
                parts.append(_record(layout.HISTOGRAM | flag, key, row))
        for name, rows in base.presence.items():
            values = [value for who, row in rows.items() for value in (float(who), *row)]
            parts.append(_record(layout.PRESENCE, layout.make_key(name, ("base",)), values))
        body = b"".join(parts)
        header = bytearray(layout.HEADER_BYTES)
        layout.HEADER.pack_into(header, 0, layout.MAGIC, os.getpid(), 0, 0, 0.0)
        layout.USED.pack_into(header, layout.USED_AT, len(header) + len(body))
        replace_file(self._folder.base, bytes(header) + body)


def _record(kind: int, key: bytes, values: list[float]) -> bytes:
    size = layout.record_bytes(len(values), key)
    head = layout.HEAD.pack(size, kind, len(values), len(key))
    return (head + array("d", values).tobytes() + key).ljust(size, b"\0")
