"""Faults in our own code: servers for the walk, its processes, and what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import redis

from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.redis import Redis

ROOT = Path(__file__).parents[2]
KINDS = (
    *("RuntimeError", "MemoryError", "OSError", "KeyError", "TypeError", "RecursionError"),
    *("AssertionError", "ImportError"),
)


class Found(NamedTuple):
    """What a walk saw: functions of ours that ran, hooks, places that can fail, and each fault."""

    run: set[str]
    below: set[str]
    places: int
    results: list[dict[str, Any]]

    def wrong(self) -> list[dict[str, Any]]:
        """The faults that the application noticed, or that were logged more than once."""
        return [each for each in self.results if each["wrong"] or not each["fired"]]


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL, Redis and a cluster of two nodes; gives what the walk is told of them."""
    with ExitStack() as stack:
        for name in ("postgres", "redis", "first", "second"):
            (folder / name).mkdir(parents=True)
        database = stack.enter_context(Postgres(folder / "postgres"))
        server = stack.enter_context(Redis(folder / "redis"))
        yield {
            "FAULTS_DSN": database.dsn,
            "FAULTS_REDIS": server.url.removesuffix("/0"),
            "FAULTS_CLUSTER": str(_cluster(stack, folder)),
        }


def _cluster(stack: ExitStack, folder: Path) -> int:
    nodes = []
    for name in ("first", "second"):
        bus = free_port()
        flags = ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
        flags += ["--cluster-config-file", str(folder / name / "nodes.conf")]
        server = stack.enter_context(Redis(folder / name, args=flags))
        client = stack.enter_context(redis.Redis(port=server.port))
        nodes.append((client, server.port, bus))
    (first, port, _), (second, other, bus) = nodes
    first.execute_command("CLUSTER SET-CONFIG-EPOCH", 1)
    second.execute_command("CLUSTER SET-CONFIG-EPOCH", 2)
    first.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
    second.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
    first.execute_command("CLUSTER MEET", "127.0.0.1", other, bus)
    deadline = time.monotonic() + 60
    while any(c.execute_command("CLUSTER INFO")["cluster_state"] != "ok" for c, _, _ in nodes):
        assert time.monotonic() < deadline, "the cluster has not formed"
        time.sleep(0.05)
    return port


def walk(
    which: str, given: dict[str, str], out: Path, *, sample: int, seed: int, parts: int = 1
) -> Found:
    """Walks `steps`, `workers` or `starts` in `parts` processes; raises where one cannot.

    Each hook is given a fault at its first place, and `sample` more places, picked by `seed`, one each:
    first each function below each hook, then any line. A negative sample is none.
    """
    running = []
    for part in range(parts):
        to = out / f"{which}-{part}.json"
        database = f"{given['FAULTS_REDIS']}/{part + (4 if which == 'starts' else 0)}"
        argv = [which, str(to), ",".join(KINDS), *map(str, (sample, seed, part, parts))]
        command = [sys.executable, "-m", "tests.reliability.fault_walk", *argv]
        environ = {**os.environ, **given, "FAULTS_REDIS": database}
        environ["PYTHONPATH"] = str(ROOT)
        log = (out / f"{which}-{part}.log").open("w")
        running.append((subprocess.Popen(command, cwd=ROOT, env=environ, stderr=log), to, log))
    run, below, places, results = set(), set(), 0, []
    for process, to, log in running:
        code = process.wait()
        log.close()
        assert code == 0, Path(log.name).read_text()[-4000:]
        told = json.loads(to.read_text())
        run |= set(told["run"])
        below |= set(told["below"])
        places = told["places"]
        results += told["results"]
    return Found(run, below, places, results)


def table(found: dict[str, Found]) -> str:
    """What was seen, for the page."""
    rows = [
        "| what ran | hooks | places that can fail | faults | noticed by the application | log lines |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in found.items():
        logged = Counter(result["logged"] for result in each.results)
        most = max(logged, default=0)
        told = f"one in {logged[1]}, none in {logged[0]}" + (
            f", at most {most}" if most > 1 else ""
        )
        rows.append(
            f"| {name} | {len(each.below)} | {each.places} | {len(each.results)} "
            f"| {len(each.wrong())} | {told} |"
        )
    return "\n".join(rows)
