"""Files that are deleted under a running service, one at a time and all at once."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.locks import ExporterLock
from tests.recorder.processes import Worker, read, record_and_die, values

pytestmark = pytest.mark.usefixtures("bound")

HITS = m.CACHE_HITS_TOTAL


@pytest.fixture
def worker(folder: StateFolder) -> Iterator[Worker]:
    made = Worker(folder)
    made.record(HITS, 3)
    yield made
    made.kill()


@pytest.fixture
def folding(folder: StateFolder, worker: Worker) -> Folding:
    """The exporter's, which knows the worker and a base with 10."""
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(10))
    made = Folding(folder)
    made.fold()
    assert total(made) == 13
    return made


def total(folding: Folding) -> float:
    return values(folding.reader.read(), HITS)[()]


def origin_of(folder: StateFolder) -> tuple[int, int]:
    reader = Folding(folder).reader
    reader.look()
    return reader.origin()


def delete(folder: StateFolder, what: str) -> None:
    if what == "folder":
        shutil.rmtree(folder.path)
        folder.make()  # as whoever notices first does
    for path in folder.path.glob(f"{what}*"):
        path.unlink()


@pytest.mark.parametrize("what", ["folder", "segment-", "base"])
def test_the_exporter_still_sees_all(
    folder: StateFolder, worker: Worker, folding: Folding, what: str
) -> None:
    """What it has mapped stays, and grows on, until it is written anew; a successor sees it then."""
    delete(folder, what)
    assert total(folding) == 13
    worker.record(HITS, 1)
    assert total(folding) == 14
    folding.fold()
    worker.rejoin()
    worker.record(HITS, 1)
    assert total(folding) == 15
    assert read(folder, HITS) == {(): 15}
    assert total(Folding(folder)) == 15


@pytest.mark.parametrize("what", ["folder", "segment-"])
def test_who_dies_before_writing_anew_is_folded_from_memory(
    folder: StateFolder, worker: Worker, folding: Folding, what: str
) -> None:
    """Its file is gone, its process too: the exporter alone has its counts, and writes them down."""
    delete(folder, what)
    worker.record(HITS, 4)
    worker.kill()
    assert folding.fold() == []
    assert total(folding) == 17
    assert read(folder, HITS) == {(): 17}


def test_who_wrote_anew_and_dies_is_folded_once(
    folder: StateFolder, worker: Worker, folding: Folding
) -> None:
    """The deleted segment and the one in its place are the same process's."""
    delete(folder, "segment-")
    worker.record(HITS, 4)
    worker.rejoin()
    worker.record(HITS, 1)
    worker.kill()
    folding.fold()
    folding.fold()
    assert total(folding) == 18
    assert read(folder, HITS) == {(): 18}


def test_nothing_is_written_anew_where_nothing_is_missing(
    folder: StateFolder, worker: Worker, folding: Folding
) -> None:
    """Looking costs no file."""
    before = {path.name: path.stat().st_ino for path in folder.path.iterdir()}
    worker.rejoin()
    folding.fold()
    assert {path.name: path.stat().st_ino for path in folder.path.iterdir()} == before


def test_histograms_gauges_and_their_starts_go_along(folder: StateFolder, worker: Worker) -> None:
    """What is written anew is the same in everything."""
    worker.record(m.CACHE_OPERATION_DURATION_MS, 7, "get")
    worker.record(m.FORECAST_QUEUE_DEPTH, 5, "q")
    reader = Folding(folder).reader
    before = {key: asdict(point) for key, point in reader.read().points.items()}
    delete(folder, "segment-")
    worker.rejoin()
    assert {
        key: asdict(point) for key, point in Folding(folder).reader.read().points.items()
    } == before


def test_the_life_of_the_service_stays_the_same(
    folder: StateFolder, worker: Worker, folding: Folding
) -> None:
    """The instance id comes from the first of its files, also after that is gone."""
    origin = folding.reader.origin()
    delete(folder, "folder")
    folding.fold()
    assert origin_of(folder) == origin  # the base says it
    folder.base.unlink()
    worker.rejoin()
    assert origin_of(folder) == origin  # the process says it


def test_an_exporter_that_was_replaced_hands_over(
    folder: StateFolder, worker: Worker, folding: Folding
) -> None:
    """What only it has becomes a segment of the dead, which its successor folds, once."""
    delete(folder, "folder")
    successor = Folding(folder)
    successor.fold()
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(100))
    successor.fold()
    assert not folding.hand_over()  # the worker lives, and will write its segment anew itself
    worker.record(HITS, 1)
    worker.rejoin()
    assert folding.hand_over()
    successor.fold()
    assert total(successor) == 114
    assert folding.hand_over()
    successor.fold()
    assert total(successor) == 114
    assert [name for name in os.listdir(folder.path) if str(os.getpid()) in name] == []


def test_an_exporter_that_was_replaced_writes_nothing_where_it_was(
    folder: StateFolder, worker: Worker
) -> None:
    """Else its successor would begin with what it is handed later as well."""
    lock = ExporterLock(folder)
    assert lock.take()
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(10))
    replaced = Folding(folder, ours=lock.is_there)
    replaced.fold()
    delete(folder, "folder")
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(100))
    before = os.listdir(folder.path)
    replaced.fold()
    assert total(replaced) == 13
    assert os.listdir(folder.path) == before
    successor = Folding(folder)
    successor.fold()
    worker.rejoin()
    assert replaced.hand_over()
    successor.fold()
    assert total(successor) == 113


def test_who_wrote_anew_is_not_handed_over_however_long_ago_it_was_folded(
    folder: StateFolder, worker: Worker, folding: Folding
) -> None:
    """Its successor's base says only which it folded last."""
    delete(folder, "folder")
    successor = Folding(folder)
    worker.rejoin()
    worker.kill()
    successor.fold()
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(100))
    successor.fold()
    assert folding.hand_over()
    successor.fold()
    assert total(successor) == 113


def test_a_successor_knows_that_more_is_to_come(
    folder: StateFolder, worker: Worker, folding: Folding
) -> None:
    """Processes are older than the folder, and nobody has handed over what was before."""
    delete(folder, "folder")
    worker.rejoin()
    found = StateFolder(folder.path)  # as another process has it
    successor = Folding(found)
    assert successor.awaits_predecessor()
    assert folding.hand_over()
    assert not successor.awaits_predecessor()
    successor.fold()
    assert not successor.awaits_predecessor()
    assert total(successor) == 13


def test_it_knows_so_until_all_is_handed_over(
    folder: StateFolder, worker: Worker, folding: Folding
) -> None:
    """A process that lives has not written anew what it counted, and the one before waits for that."""
    delete(folder, "folder")
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(100))
    successor = Folding(StateFolder(folder.path))
    done, say_done = os.pipe()
    predecessor = os.fork()
    if predecessor == 0:
        if not folding.hand_over():
            os.write(say_done, b"1")
        signal.pause()
    os.close(say_done)
    try:
        assert os.read(done, 1) == b"1"
        assert successor.awaits_predecessor()
    finally:
        os.kill(predecessor, signal.SIGKILL)
        os.waitpid(predecessor, 0)
        os.close(done)
    assert not successor.awaits_predecessor()


def test_nobody_is_awaited_in_a_folder_that_was_never_deleted(
    folder: StateFolder, worker: Worker
) -> None:
    """Also where nothing was folded yet."""
    assert not Folding(StateFolder(folder.path)).awaits_predecessor()


def test_handing_over_takes_along_who_died_meanwhile(
    folder: StateFolder, worker: Worker, folding: Folding
) -> None:
    """A process that never wrote its segment anew is not lost."""
    delete(folder, "folder")
    successor = Folding(folder)
    successor.fold()
    assert not folding.hand_over()
    worker.record(HITS, 2)
    worker.kill()
    assert folding.hand_over()
    successor.fold()
    assert total(successor) == 15
