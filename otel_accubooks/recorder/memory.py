"""Reading this process alone, where there is no folder that the processes can share."""

from __future__ import annotations

from otel_accubooks.recorder.reader import OwnSegmentReader, SegmentReader
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.totals import Totals


class MemoryReader:
    """The totals of what a process keeps in its own memory, from when this was made."""

    def __init__(self, recorder: Recorder) -> None:
        self.readers: dict[str, SegmentReader] = {}
        if recorder.memory is not None:
            self.readers[recorder.memory.name] = OwnSegmentReader(recorder.memory)

    def read(self) -> Totals:
        """The totals now."""
        totals = Totals()
        for reader in self.readers.values():
            totals.add(reader)
        return totals
