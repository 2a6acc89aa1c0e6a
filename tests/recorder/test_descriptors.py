"""The last descriptors are the application's."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import fork, layout
from otel_accubooks.recorder.files import SPARE_DESCRIPTORS, check_descriptors
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.reader import SegmentReader
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.segment import SegmentWriter

pytestmark = pytest.mark.usefixtures("bound")


@pytest.fixture
def scarce() -> Iterator[None]:
    """This process may open no more than what is spared."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + SPARE_DESCRIPTORS, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("scarce")
def test_few_are_left_to_the_application(tmp_path: Path) -> None:
    """What is counted stays in memory, and nothing is opened for it."""
    fork.generation[0] = 0
    recorder = Recorder(StateFolder(tmp_path / "services" / "one"))
    before = os.listdir("/dev/fd")
    recorder.counter(m.CACHE_HITS_TOTAL).labels().add(5)
    assert recorder.segment is None
    assert recorder.memory is not None
    assert len(os.listdir("/dev/fd")) == len(before)
    with pytest.raises(OSError, match="Too many open files"):
        check_descriptors()


def test_where_there_are_enough_all_is_shared(tmp_path: Path) -> None:
    """As ever."""
    check_descriptors()
    fork.generation[0] = 0
    recorder = Recorder(StateFolder(tmp_path / "services" / "one"))
    recorder.counter(m.CACHE_HITS_TOTAL).labels().add(5)
    assert recorder.segment is not None


def test_a_root_directory_may_have_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in a chroot shares its counts as any other."""
    monkeypatch.setattr(os, "devnull", "/no/such/device")
    check_descriptors()


def test_what_has_a_number_of_ours_by_now_is_left_alone(tmp_path: Path) -> None:
    """An application that closes all it has: its next file is not made longer, and not closed."""
    fork.generation[0] = 0
    folder = StateFolder(tmp_path / "services" / "one")
    recorder = Recorder(folder)
    recorder.counter(m.CACHE_HITS_TOTAL).labels().add(5)
    writer = recorder.segment
    assert isinstance(writer, SegmentWriter)
    reader = SegmentReader(folder.path / writer.name)
    for name in os.listdir("/dev/fd"):
        if str(folder.path) in os.path.realpath(f"/dev/fd/{name}"):
            os.close(int(name))
    files = [os.open(tmp_path / f"log-{i}", os.O_RDWR | os.O_CREAT) for i in range(8)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        writer._reserve(layout.RESERVE_BYTES * 4)
    assert not reader.dead()
    writer.close()
    del reader, recorder, writer
    gc.collect()
    assert [os.fstat(fd).st_size for fd in files] == [0] * 8
    for fd in files:
        os.close(fd)
