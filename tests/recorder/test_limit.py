"""The limit of series over processes, and over the lives of workers."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder import layout
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from tests.recorder.processes import Worker, read, record_and_die, values

pytestmark = pytest.mark.usefixtures("bound")

LIMIT = 10
ERRORS = m.CALCULATION_ERRORS_TOTAL


@pytest.fixture
def workers(folder: StateFolder) -> Iterator[list[Worker]]:
    """Two that live."""
    made = [Worker(folder, LIMIT) for _ in range(2)]
    yield made
    for worker in made:
        worker.kill()


def test_the_living_together_keep_the_limit(folder: StateFolder, workers: list[Worker]) -> None:
    """The oldest series stay, the rest is one; nothing is lost, and later nothing changes places."""
    for number in range(LIMIT):
        for index, worker in enumerate(workers):
            worker.record(ERRORS, 1, f"{index}-{number}")
    before = read(folder, ERRORS)
    assert len(before) == LIMIT + 1
    assert before["overflow",] == LIMIT
    workers[0].record(ERRORS, 5, "0-9")
    workers[1].record(ERRORS, 1, "1-0")
    after = read(folder, ERRORS)
    assert after == {**before, ("overflow",): LIMIT + 5, ("1-0",): 2}


@pytest.mark.parametrize("metric", [ERRORS, m.HTTP_REQUEST_DURATION_MS, m.FORECAST_QUEUE_DEPTH])
def test_lives_of_workers_do_not_add_up_to_more(folder: StateFolder, metric: m.Metric) -> None:
    """Worker after worker with other series: the base is as big after ten as after two."""
    folding = Folding(folder)
    sizes = []
    for life in range(10):

        def work(recorder: object, life: int = life) -> None:
            family = getattr(recorder, metric.type)(metric)
            done = {"counter": "add", "histogram": "record", "gauge": "set"}[metric.type]
            for number in range(LIMIT):
                given = f"{life}-{number}"
                labels = [given if label.values is None else "GET" for label in metric.labels]
                getattr(family.labels(*labels), done)(1)

        record_and_die(folder, work, LIMIT)
        folding.fold()
        assert folding.reader.base is not None
        # But for the name of what was folded, which is as long as a pid.
        names = (r.key for r in folding.reader.base.records() if r.kind == layout.FOLDED)
        named = sum(layout.record_bytes(0, name) for name in names)
        sizes.append(folder.base.stat().st_size - named)
    assert len(set(sizes[1:])) == 1
    found = read(folder, metric)
    if metric.type == "gauge":
        assert found == {}
    else:
        assert sum(found.values()) == 10 * LIMIT
        assert len(found) == LIMIT + 1


def test_surplus_gauges_are_dropped(folder: StateFolder, workers: list[Worker]) -> None:
    """There is no sum of them that would mean anything."""
    for number in range(LIMIT):
        for index, worker in enumerate(workers):
            worker.record(m.FORECAST_QUEUE_DEPTH, number, f"{index}-{number}")
    assert len(read(folder, m.FORECAST_QUEUE_DEPTH)) == LIMIT


def test_what_was_told_stays_told_after_its_process(
    folder: StateFolder, workers: list[Worker]
) -> None:
    """A series of a living worker keeps its place while others die and are folded around it."""
    folding = Folding(folder)
    for number in range(8):
        workers[0].record(ERRORS, 1, f"told-{number}")
    told = values(folding.reader.read(), ERRORS)

    def work(recorder: object) -> None:
        for number in range(LIMIT):
            recorder.counter(ERRORS).labels(f"new-{number}").add()  # type: ignore[attr-defined]

    record_and_die(folder, work, LIMIT)
    folding.fold()
    found = values(folding.reader.read(), ERRORS)
    assert told.items() <= found.items()
    assert sum(found.values()) == 18
    assert read(folder, ERRORS) == found
    workers[0].kill()
    Folding(folder).fold()  # a successor, which remembers nothing
    assert read(folder, ERRORS) == found


def test_a_clock_that_is_set_back_displaces_nothing(
    folder: StateFolder, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the limit is reached the base says who is within it, also for those who live."""
    folding = Folding(folder)
    for number in range(LIMIT):
        for index, worker in enumerate(workers):
            worker.record(ERRORS, 1, f"{index}-{number}")
    told = values(folding.reader.read(), ERRORS)
    folding.fold()
    monkeypatch.setattr("time.time", lambda: 1000.0)
    early = Worker(folder, LIMIT)
    early.record(ERRORS, 1, "from the past")
    monkeypatch.undo()
    try:
        assert read(folder, ERRORS) == {**told, ("overflow",): told["overflow",] + 1}
    finally:
        early.kill()


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000))
def test_any_history_keeps_limit_and_sum(tmp_path: Path, seed: int) -> None:
    """Workers come, record, are killed, folded by one exporter or its successor: see the asserts."""
    chance = random.Random(seed)
    folder = StateFolder(Path(tempfile.mkdtemp(dir=tmp_path)) / "service")
    folder.make()
    folding = Folding(folder)
    workers: list[Worker] = []
    done = 0
    before: dict[tuple[str, ...], float] = {}
    try:
        for _ in range(60):
            step = chance.random()
            if not workers or (step < 0.1 and len(workers) < 3):
                workers.append(Worker(folder, LIMIT))
            elif step < 0.2:
                workers.pop(chance.randrange(len(workers))).kill()
            elif step < 0.25:
                folding = Folding(folder)
            elif step < 0.5:
                folding.fold()
            else:
                chance.choice(workers).record(ERRORS, 1, str(chance.randrange(25)))
                done += 1
            found = values(folding.reader.read(), ERRORS)
            assert sum(found.values()) == done
            assert len(found) <= LIMIT + 1
            assert all(found.get(labels, -1) >= value for labels, value in before.items())
            before = found
    finally:
        for worker in workers:
            worker.kill()
