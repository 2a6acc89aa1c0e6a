"""Reading a whole service: base and segments, as one consistent set of totals."""

from __future__ import annotations

import os

from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import read_base
from otel_accubooks.recorder.segment import (
    OwnSegmentReader,
    SegmentError,
    SegmentReader,
    own,
)
from otel_accubooks.recorder.totals import Totals

_ATTEMPTS = 20


class ServiceReader:
    """Reads every segment of a service, from any process of it; keeps what it has parsed."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self.readers: dict[str, SegmentReader] = {}

    def read(self) -> Totals:
        """The totals now. A segment that is folded meanwhile is in them once, never twice or not."""
        totals = Totals()
        for _ in range(_ATTEMPTS):
            before = self._base_version()
            try:
                totals = self._read_once()
            except FileNotFoundError:
                continue
            if self._base_version() == before:
                return totals
        return totals

    def _read_once(self) -> Totals:
        totals = read_base(self._folder)
        names = set(self._folder.segments()) - totals.folded
        for gone in self.readers.keys() - names:
            del self.readers[gone]
        for name in names:
            try:
                totals.add(self._reader(name))
            except SegmentError:
                continue  # named once, by the folding
        return totals

    def _reader(self, name: str) -> SegmentReader:
        reader = self.readers.get(name)
        if reader is None:
            mine = own.get(name)
            reader = OwnSegmentReader(mine) if mine else SegmentReader(self._folder.path / name)
            self.readers[name] = reader
        return reader

    def _base_version(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._folder.base)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns
