"""The exporter: what it sends, when it ends, and what becomes of its folder."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.export import process, spawn
from otel_accubooks.export.process import Exporter
from otel_accubooks.export.sending import Pusher
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.locks import ExporterLock
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.totals import Point
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from tests.recorder.processes import Worker, record_and_die

HITS = m.CACHE_HITS_TOTAL


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """Where everything is sent, when it is asked for."""
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "tested")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "3600000")
        yield receiver


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "services" / "one")
    made.make()
    return made


@pytest.fixture
def worker(folder: StateFolder) -> Iterator[Worker]:
    made = Worker(folder)
    made.record(HITS, 3)
    yield made
    made.kill()


class Running:
    """An exporter in a thread."""

    def __init__(self, folder: StateFolder) -> None:
        self._lock = ExporterLock(folder)
        assert self._lock.take()
        exporter = Exporter(folder, self._lock)
        exporter.configure()
        self._thread = threading.Thread(target=exporter.run, daemon=True)
        self._thread.start()

    def ended(self) -> bool:
        """True once it has ended by itself; its process's end would release the lock."""
        self._thread.join(60)
        self._lock.forget()
        return not self._thread.is_alive()


def eventually_asked(folder: StateFolder) -> None:
    """Has the exporter send: it may be busy, or not yet listen, or have to mend its folder first."""
    give_up = time.monotonic() + 60
    while not (folder.socket.exists() and spawn.ask_to_send(folder)):
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_it_sends_when_it_is_asked_and_ends_after_the_last_process(
    folder: StateFolder, worker: Worker, sink: OtlpReceiver
) -> None:
    """All counts, under one instance id; then the folder is gone."""
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(10))
    running = Running(folder)
    eventually_asked(folder)
    assert sink.value(HITS.name) == 13
    worker.record(HITS, 1)
    worker.kill()
    assert running.ended()
    assert sink.value(HITS.name) == 14
    assert len({series.instance for series in sink.series()}) == 1
    assert not folder.path.exists()


def add_ten(recorder: Recorder) -> None:
    recorder.counter(HITS).labels().add(10)


def test_who_lives_and_dies_while_the_last_counts_are_sent_is_counted(
    folder: StateFolder, worker: Worker, sink: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when they were collected, and nobody is there any more afterwards."""
    running = Running(folder)
    eventually_asked(folder)
    send, meanwhile = Exporter._send_by, [add_ten]

    def send_by(self: Exporter, pusher: Pusher, points: list[Point]) -> bool:
        if meanwhile:
            record_and_die(folder, meanwhile.pop())
        return send(self, pusher, points)

    monkeypatch.setattr(Exporter, "_send_by", send_by)
    worker.record(HITS, 1)
    worker.kill()
    assert running.ended()
    assert sink.value(HITS.name) == 14
    assert not folder.path.exists()


def test_it_stays_for_who_is_just_joining(
    folder: StateFolder, worker: Worker, sink: OtlpReceiver
) -> None:
    """However long that takes: nobody else would send what it counts."""
    running = Running(folder)
    eventually_asked(folder)
    seen, see = os.pipe()
    joining = os.fork()
    if joining == 0:
        with folder.membership():
            os.write(see, b".")
            time.sleep(1.5)
        record_and_die(folder, add_ten)
        os._exit(0)
    os.read(seen, 1)
    worker.kill()
    assert running.ended()
    os.waitpid(joining, 0)
    assert sink.value(HITS.name) == 13
    assert not folder.path.exists()


def test_what_nobody_took_stays_for_the_next_start(
    folder: StateFolder, worker: Worker, sink: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver is away until after the end; the next exporter sends it, under the same id."""
    monkeypatch.setattr(process, "LAST_ATTEMPTS_SECONDS", 0.0)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    running = Running(folder)
    eventually_asked(folder)
    sink.fail("503")
    worker.record(HITS, 1)
    worker.kill()
    assert running.ended()
    assert folder.path.exists()
    sink.fail("ok")
    assert Running(folder).ended()
    assert [series.value for series in sink.series(HITS.name)] == [4]
    assert not folder.path.exists()


def test_it_goes_on_in_a_folder_made_anew(
    folder: StateFolder, worker: Worker, sink: OtlpReceiver
) -> None:
    """Everything was deleted: lock, socket, base and status are written again, the id stays."""
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(10))
    running = Running(folder)
    eventually_asked(folder)
    shutil.rmtree(folder.path)
    eventually_asked(folder)
    worker.record(HITS, 1)
    worker.rejoin()
    eventually_asked(folder)
    assert folder.base.exists()
    assert (folder.path / "status").exists()
    worker.kill()
    assert running.ended()
    (series,) = sink.series(HITS.name)
    assert (series.value, series.resets) == (14, 0)


def test_one_that_comes_too_late_hands_over_and_ends(
    folder: StateFolder, worker: Worker, sink: OtlpReceiver
) -> None:
    """Another exporter was elected in the new folder: it gets all that the first one had."""
    record_and_die(folder, lambda recorder: recorder.counter(HITS).labels().add(10))
    lock = ExporterLock(folder)
    assert lock.take()
    first = Exporter(folder, lock)
    first.configure()
    assert first.send()
    shutil.rmtree(folder.path)
    folder.make()
    second = Running(folder)
    thread = threading.Thread(target=first.run, daemon=True)
    thread.start()
    worker.rejoin()
    thread.join(60)
    assert not thread.is_alive()
    worker.kill()
    assert second.ended()
    assert max(series.value for series in sink.series(HITS.name)) == 13


def test_too_many_series_and_damage_are_noted_once(folder: StateFolder, sink: OtlpReceiver) -> None:
    """As lines for the application's log."""
    workers = [Worker(folder, limit=3) for _ in range(2)]
    for index, worker in enumerate(workers):
        for number in range(3):
            worker.record(m.CALCULATION_ERRORS_TOTAL, 1, f"{index}-{number}")
    (folder.path / "segment-1-damaged").write_bytes(b"nonsense" * 1000)
    running = Running(folder)
    for _ in range(3):
        eventually_asked(folder)
    notes = spawn.exporter_notes(folder)
    for worker in workers:
        worker.kill()
    assert running.ended()
    assert len(notes) == 2
    assert "segment-1-damaged starts with" in notes[0]
    assert "calculation_errors_total has more than 3 series in this service" in notes[1]
    (overflow,) = sink.series("calculation_errors_total", **{"otel.metric.overflow": True})
    assert overflow.value == 3


def test_a_service_without_a_name_is_told_so(
    folder: StateFolder, worker: Worker, sink: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be added together with others."""
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    running = Running(folder)
    eventually_asked(folder)
    assert "OTEL_SERVICE_NAME is not set" in (spawn.exporter_problem(folder) or "")
    worker.kill()
    assert running.ended()
