"""Every failure inside our own code is contained: the short form of the walk over all hooks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.reliability import hooks
from tests.reliability.faults import ROOT, Found, servers, walk

# What needs a pool of Celery's that loses a process takes ten seconds each: the drill walks it.
IN_THE_DRILL = {"instrument/celery_prefork.py", "instrument/celery_worker.py"}
# Hooks that no step runs in the process that is looked at.
NOT_IN_A_STEP = {
    "instrument/polling.py:Polls._run": "an endless loop, whose body is a step",
    "instrument/rq.py:_spawning.<locals>.fork_work_horse": "the drill walks it",
    "launch/alone.py:Alone.end": "where no folder can be had",
    "launch/alone.py:begin": "where no folder can be had",
    "launch/alone.py:begin.<locals>.attempt": "where no folder can be had",
    "launch/alone.py:begin.<locals>.last": "where no folder can be had",
    "launch/arrival.py:_say_all": "where no folder is there yet",
    "launch/start.py:_in_child": "in a child that a step forks",
    "launch/user_switch.py:_switching.<locals>.switch": "in a child that a step forks",
    "recorder/fork.py:_after_in_child": "in a child that a step forks",
}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with servers(tmp_path_factory.mktemp("servers")) as told:
        yield told


@pytest.fixture(scope="module")
def steps(given: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Found:
    return walk("steps", given, tmp_path_factory.mktemp("steps"), sample=40, seed=8)


@pytest.fixture(scope="module")
def starts(given: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Found:
    return walk("starts", given, tmp_path_factory.mktemp("starts"), sample=-1, seed=8)


def test_a_fault_in_a_hook_reaches_neither_request_nor_job(steps: Found) -> None:
    """Answers, exceptions and pools are as bare, twice with the fault and once without it."""
    assert not steps.wrong()
    assert len(steps.results) > len(steps.below) > 50


def test_a_fault_at_the_start_of_a_process_reaches_nobody(starts: Found) -> None:
    """Libraries are imported, processes fork, log and end as if nobody measured them."""
    assert not starts.wrong()
    assert len(starts.below) > 10


def test_every_hook_is_walked(steps: Found, starts: Found) -> None:
    """Whoever adds a hook adds a step that runs it."""
    walked = steps.run | starts.run
    left = {each for each in hooks.hooks() - walked if each.partition(":")[0] not in IN_THE_DRILL}
    assert left == NOT_IN_A_STEP.keys()


def test_a_bare_line_is_told_from_one_that_can_fail() -> None:
    """Else places would be left out of the walk."""
    lines = (hooks.PACKAGE / "instrument/psycopg2.py").read_text().splitlines()
    can_fail = [n for n, line in enumerate(lines, 1) if "series.record_since(began)" in line]
    cannot = [n for n, line in enumerate(lines, 1) if "began = perf_counter()" in line]
    bare = hooks.bare_lines("instrument/psycopg2.py")
    assert can_fail
    assert not bare.intersection(can_fail)
    assert cannot
    assert bare.issuperset(cannot)


def test_the_compiled_modules_survive_when_memory_runs_out() -> None:
    """Each allocation fails in its turn: no crash, no reference and no memory left behind."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.reliability.fault_memory"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, told in json.loads(done.stdout).items():
        assert not any(told.get("references", [])), name
        assert told["left"] < 1000, name
        assert told["ends"].get("MemoryError", 1), name
