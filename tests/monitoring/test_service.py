"""What one worker sees of the whole service."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.unsent import TARGET_ANSWERED_AT, TARGET_HEALTHY
from otel_accubooks.monitoring.service import Service
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.recorder import Recorder


def child(work: Callable[[], None], *, stays: bool) -> int:
    """A forked process that has done `work`; it stays until it is killed, or ends without clean-up."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(tell, b"1")
            if stays:
                signal.pause()
        finally:
            os._exit(0)
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)
    return pid


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_every_process_is_in_it_and_the_dead_once(recorder: Recorder) -> None:
    """Counts of a killed worker stand at once, its gauges are gone at once, without any exporter."""
    hits = recorder.counter(m.CACHE_HITS_TOTAL).labels()
    most = recorder.gauge(m.DB_POOL_MAX_CONNECTIONS).labels("books")

    def work() -> None:
        hits.add(100)
        most.set(20)

    hits.add(1)
    most.set(10)
    pid = child(work, stays=True)
    service = Service()
    both = service.look()
    end(pid)
    left = service.look()
    assert (both.total(m.CACHE_HITS_TOTAL), both.total(m.DB_POOL_MAX_CONNECTIONS)) == (101, 30)
    assert (left.total(m.CACHE_HITS_TOTAL), left.total(m.DB_POOL_MAX_CONNECTIONS)) == (101, 10)


def test_who_has_recorded_nothing_joins_by_looking(recorder: Recorder) -> None:
    """A service that is only asked how it is has an uptime, and an exporter is seen to."""
    opened: list[bool] = []
    recorder.on_open(lambda: opened.append(True))
    view = Service().look()
    assert opened == [True]
    assert view.highest(m.SYSTEM_UPTIME_SECONDS) is not None
    assert view.highest(m.SYSTEM_HEALTH_STATUS) == 1


def test_a_child_does_not_wait_for_a_look_of_its_parent(recorder: Recorder) -> None:
    """A fork in the middle of a look leaves a lock behind that nobody holds."""
    service = Service()
    service.look()
    looking = service._looking
    assert looking is not None

    def work() -> None:
        signal.alarm(30)
        service.look()

    with looking.lock:
        pid = child(work, stays=False)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_without_a_folder_a_process_tells_of_itself(alone: Recorder) -> None:
    """All that it recorded, the host as it is, and the health of what it uses."""
    requests = alone.counter(m.HTTP_REQUESTS_TOTAL)
    requests.labels("GET", "/x", "200").add(3)
    requests.labels("GET", "/x", "500").add(1)
    alone.histogram(m.HTTP_REQUEST_DURATION_MS).labels("GET", "/x", "200").record(7)
    alone.gauge(TARGET_ANSWERED_AT).labels("cache", "cache x").set(1.0)
    alone.gauge(TARGET_HEALTHY).labels("cache", "cache x").set(0.0)
    view = Service().look()
    assert view.total(m.HTTP_REQUESTS_TOTAL) == 4
    assert view.highest(m.HTTP_ERROR_RATE_PERCENT) == 25
    assert view.highest(m.SYSTEM_MEMORY_USAGE_BYTES)
    (histogram,) = (p for p in view.points if p.metric is m.HTTP_REQUEST_DURATION_MS)
    assert (sum(histogram.counts), histogram.total) == (1, 7)
    assert [(t.component, t.healthy, t.stale) for t in view.targets] == [("cache", False, True)]


def test_a_process_that_can_share_after_all_is_seen_with_the_others(
    recorder: Recorder, tmp_path: Path
) -> None:
    """From its own memory to the folder, nothing is counted twice."""
    (tmp_path / "services").write_text("in the way")
    recorder.counter(m.CACHE_HITS_TOTAL).labels().add(2)
    service = Service()
    assert recorder.segment is None
    assert service.look().total(m.CACHE_HITS_TOTAL) == 2
    (tmp_path / "services").unlink()
    recorder.rejoin()
    assert recorder.segment is not None
    assert service.look().total(m.CACHE_HITS_TOTAL) == 2
    assert isinstance(recorder.folder, StateFolder)
    assert len(recorder.folder.segments()) == 1
