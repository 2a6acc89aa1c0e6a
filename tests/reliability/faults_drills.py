"""Every failure inside our own code is contained: a fault in each hook, in an application's steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.reliability import hooks, page
from tests.reliability.faults import KINDS, ROOT, servers, table, walk

HEADING = "Faults in our own code"
SEED = 8
# Besides one for each hook; as many as a quarter of an hour has room for.
SAMPLES = {"steps": 1500, "workers": 40, "starts": 100}
NAMES = {
    "steps": "requests, queries, pools, caches, jobs and tasks",
    "workers": "workers of Celery and spawned work horses of RQ",
    "starts": "starting, forking, logging, ending",
}


def test_a_fault_at_each_hook_is_contained(tmp_path: Path) -> None:
    """Nothing that the application sees is other than bare, and the log has one line of each."""
    with servers(tmp_path / "servers") as given:
        found = {}
        for which, sample in SAMPLES.items():
            (tmp_path / which).mkdir()
            found[NAMES[which]] = walk(
                which, given, tmp_path / which, sample=sample, seed=SEED, parts=2
            )
    memory = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.reliability.fault_memory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert memory.returncode == 0, memory.stderr
    page.write(HEADING, section(table(found), json.loads(memory.stdout)))
    assert not [wrong for each in found.values() for wrong in each.wrong()]


def section(rows: str, memory: dict[str, dict[str, object]]) -> str:
    """What the page says."""
    ends = [told["ends"] for told in memory.values()]
    refused = sum(each.get("MemoryError", 0) for each in ends)  # type: ignore[attr-defined]
    left = max(told["left"] for told in memory.values())  # type: ignore[type-var]
    return f"""
A hook is a function of ours that a library or the interpreter calls: {len(hooks.hooks())} are found by
reading the code, and a test fails once one is added that no step runs. Each step is done by an
application with real servers (PostgreSQL, Redis, a Redis cluster), bare and measured, in a process
forked for each fault. A trace function raises at a line of ours (one of {len(KINDS)} classes, from
{KINDS[0]} to {KINDS[1]} and {KINDS[2]}), in a first run and again in a second; the last has no fault.
Answers, exceptions (class, text, functions, context) and pools of one connection have to be as bare each
time, the recorder's lock free, nothing printed, and no log line there twice. A place is a line below a
hook that can fail: one that only passes values on, or calls the original, is none. Not walked are what
runs in an exporter's thread, and what the application itself calls to make meters of its own.

{rows}

Where a fault goes through two guards on its way, each has its line. Time limits are no faults: what a
signal handler raises, `TimeoutError`, and the limits of RQ and Celery pass a hook unchanged, as do
`SystemExit` and its like.

In the compiled modules each of the first 400 allocations of eight kinds of work failed in its turn:
{refused} times somebody was told MemoryError, nothing crashed, and no reference was left. 10,000 rounds
of each left {left} bytes at most.
"""
