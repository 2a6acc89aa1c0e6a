"""Files that are no segments, or not whole: refused and named, and the rest counts on."""

from __future__ import annotations

import gc
import math
import os
import re
import tempfile
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import layout
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.header import Header, publish
from otel_accubooks.recorder.reader import SegmentReader
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.root import Root
from otel_accubooks.recorder.segment import SegmentError
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Totals
from tests.recorder.processes import Worker, read, record_and_die

HITS = m.CACHE_HITS_TOTAL


def hits(recorder: Recorder) -> None:
    recorder.counter(HITS).labels().add(3)


def whole(folder: StateFolder) -> bytes:
    """The bytes of a segment as a process leaves it, as far as they are used."""

    def work(recorder: Recorder) -> None:
        hits(recorder)
        recorder.histogram(m.CACHE_OPERATION_DURATION_MS).labels("get").record(5)
        recorder.gauge(m.FORECAST_QUEUE_DEPTH).labels("q").set(5)

    record_and_die(folder, work)
    (name,) = folder.segments()
    content = SegmentReader(folder.path / name).content()
    (folder.path / name).unlink()
    return content


SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nonsense": (lambda _: b"nonsense" * 1000, "starts with b'nonsense', expected"),
    "another version": (lambda good: b"OTACCB99" + good[8:], "starts with b'OTACCB99', expected"),
    "empty": (lambda _: b"", "has 0 bytes, less than a header"),
    "cut off": (lambda good: good[:-40], "claims .* bytes of"),
    "a size of nothing": (
        lambda good: good[: layout.HEADER_BYTES] + bytes(4) + good[layout.HEADER_BYTES + 4 :],
        "is damaged at byte 4096",
    ),
}


@pytest.mark.parametrize("how", SPOILED)
def test_it_is_named_once_and_left(folder: StateFolder, how: str) -> None:
    """The line says what was found; the file stays where it is; the others count on."""
    spoil, said = SPOILED[how]
    good = whole(folder)
    record_and_die(folder, hits)
    damaged = folder.path / "segment-1-damaged"
    damaged.write_bytes(spoil(good))
    told: list[str] = []
    folding = Folding(folder, told.append)
    for _ in range(3):
        folding.fold()
        folding.reader.read()
    assert read(folder, HITS) == {(): 3}
    assert damaged.exists()
    assert len(told) == 1
    assert re.search(f"segment-1-damaged {said}", told[0])


@pytest.mark.parametrize("how", SPOILED)
def test_what_is_refused_is_closed(folder: StateFolder, tmp_path: Path, how: str) -> None:
    """A damaged file costs no descriptor."""
    (tmp_path / "segment-1-damaged").write_bytes(SPOILED[how][0](whole(folder)))
    before = len(os.listdir("/dev/fd"))
    with suppress(SegmentError):
        SegmentReader(tmp_path / "segment-1-damaged")
    gc.collect()
    assert len(os.listdir("/dev/fd")) == before


def test_other_kinds_of_files_are_refused(folder: StateFolder, tmp_path: Path) -> None:
    """A link is not followed, a pipe is not waited for, a folder is not read."""
    record_and_die(folder, hits)
    (tmp_path / "elsewhere").write_bytes(b"x" * 5000)
    (folder.path / "segment-link").symlink_to(tmp_path / "elsewhere")
    (folder.path / "segment-folder").mkdir()
    os.mkfifo(folder.path / "segment-pipe")
    told: list[str] = []
    Folding(folder, told.append).fold()
    assert read(folder, HITS) == {(): 3}
    assert {text.rpartition("segment-")[2].partition(" ")[0] for text in told} == {
        "link",
        "folder",
        "pipe",
    }
    assert all("cannot be read" in text for text in told)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_refused(folder: StateFolder) -> None:
    """Whoever could write into the folder, what it put there is not counted."""
    (folder.path / "segment-1-foreign").write_bytes(whole(folder))
    os.chown(folder.path / "segment-1-foreign", 12345, -1)
    told: list[str] = []
    Folding(folder, told.append).fold()
    assert read(folder, HITS) == {}
    assert "segment-1-foreign belongs to user 12345: not read" in told[0]


def test_a_damaged_base_is_put_aside(folder: StateFolder) -> None:
    """It is named, kept under another name, and counting begins anew."""
    record_and_die(folder, hits)
    folder.base.write_bytes(b"rubbish" * 1000)
    told: list[str] = []
    folding = Folding(folder, told.append)
    folding.fold()
    assert read(folder, HITS) == {(): 3}
    assert folder.segments() == []
    assert (folder.path / "base.damaged").read_bytes() == b"rubbish" * 1000
    assert len(told) == 1
    assert "what was counted before is not read, and kept: base starts with" in told[0]


@pytest.mark.parametrize("left", [0, 100, layout.HEADER_BYTES + 4])
def test_a_base_that_is_cut_off_is_put_aside(folder: StateFolder, left: int) -> None:
    """Also under those who hold it: they say so, read on, and count what comes."""
    record_and_die(folder, hits)
    told: list[str] = []
    folding, beside = Folding(folder, told.append), ServiceReader(folder)
    folding.fold()
    beside.read()
    os.truncate(folder.base, left)
    record_and_die(folder, hits)
    for _ in range(2):
        assert [point.value for point in beside.read().of(HITS)] == [3]
        folding.fold()
        assert [point.value for point in folding.reader.read().of(HITS)] == [3]
    assert (folder.path / "base.damaged").stat().st_size == left
    assert len(told) == 1
    assert "what was counted before is not read, and kept: base was cut off at" in told[0]


@pytest.mark.parametrize(
    "row",
    [[1e9, 2.0**63], [1e9, 2.0**53 + 2], [-1.0, 3.0], [1e11, 3.0], [1e9, -1.0], [1e9, math.nan]],
)
def test_numbers_that_nobody_counted_are_left_out(folder: StateFolder, row: list[float]) -> None:
    """What no count and no time can be could not be sent, nor what else there is beside it."""
    record_and_die(folder, hits)
    header = Header(1, 0, Root(1, 0, 0.0), 2000, (0, 0))
    key = layout.make_key(HITS.name, ())
    packed = array("d", row).tobytes() + key
    size = layout.record_bytes(len(row), key)
    content = bytearray(layout.HEADER_BYTES)
    header.write(content)
    publish(memoryview(content).cast("Q"), layout.HEADER_BYTES + size)
    content += (layout.HEAD.pack(size, layout.COUNTER, len(row), len(key)) + packed).ljust(
        size, b"\0"
    )
    (folder.path / "segment-1-odd").write_bytes(content)
    folding = Folding(folder)
    assert [point.value for point in folding.reader.read().of(HITS)] == [3]
    folding.fold()
    assert read(folder, HITS) == {(): 3}


@pytest.mark.parametrize("left", [0, 100])
def test_a_file_that_is_cut_off_kills_no_reader(folder: StateFolder, left: int) -> None:
    """Touching what is not there any more would be SIGBUS: it is looked at before it is read."""
    worker = Worker(folder)
    try:
        worker.record(HITS, 1)
        record_and_die(folder, hits)
        told: list[str] = []
        folding = Folding(folder, told.append)
        folding.reader.read()
        (living,) = [n for n in folder.segments() if f"-{worker.pid}-" in n]
        os.truncate(folder.path / living, left)
        folding.fold()
        folding.reader.read()
        assert f"was cut off at {left} bytes" in told[0]
        assert read(folder, HITS) == {(): 3}
    finally:
        worker.kill()


def test_a_metric_of_another_shape_is_left_out_and_named(folder: StateFolder) -> None:
    """Another version of the package had other buckets, or a metric that is none any more."""
    content = whole(folder)
    short = m.CACHE_OPERATION_DURATION_MS.name.encode()
    (folder.path / "segment-1-old").write_bytes(
        content.replace(short, b"cache_operation_duration_xx").replace(b"q", b"r")
    )
    totals = Folding(folder).reader.read()
    assert totals.foreign == {"cache_operation_duration_xx"}
    assert sum(point.value for point in totals.of(HITS)) == 3


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    spoiled=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=16)), max_size=4)
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, spoiled: list[tuple[int, bytes]]) -> None:
    """Whatever is written over a segment, reading ends, raises what it says, and can be sent."""
    folder = StateFolder(tmp_path / "service")
    if not folder.path.exists():
        folder.make()
        (tmp_path / "good").write_bytes(whole(folder))
    content = bytearray((tmp_path / "good").read_bytes())
    for place, piece in spoiled:
        # The header's first bytes, or the records.
        at = place if place < 100 else layout.HEADER_BYTES + place - 100
        content[at : at + len(piece)] = piece
    with tempfile.NamedTemporaryFile(dir=folder.path, prefix="segment-") as file:
        file.write(content)
        file.flush()
        totals = Totals()
        try:
            totals.add(SegmentReader(Path(file.name)))
        except SegmentError:
            return
        for point in totals.points.values():
            assert point.metric.type == "gauge" or round(point.value + sum(point.counts)) >= 0
            round(point.start * 1e9)
