"""Instructions of a measured process, by route: valgrind's callgrind, told when to count."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.driven import Driven, driven
from tests.benchmarks.servers import Servers
from tests.benchmarks.variants import MEASURED, Variant

# What has to have been counted by the requests of a route.
PROOFS: Mapping[str, str] = {
    "plain": "http_requests_total",
    "db": "db_query_duration_ms_count",
    "mix": "cache_hits_total",
    "counted": "user_logins_total",
}


@dataclass(frozen=True)
class Count:
    """Instructions of one request: of all threads on average, and of the one that answers requests.

    Of the latter the least of several blocks: other threads and the clock can only add to it.
    """

    process: float
    thread: float


def count(
    variant: Variant,
    routes: Sequence[str],
    servers: Servers,
    work: Path,
    *,
    requests: int = 100,
    steady: bool = False,
    folder: Path | None = None,
) -> dict[str, Count]:
    """Counts of each route, in a process of its own; "yardstick" is a route too.

    `steady` leaves the collection of garbage out. `folder` is the environment to run in, if not the
    one that the variant names. Raises RuntimeError if a route does not answer what it should, or
    its requests were not counted: what is switched off, or broken, is cheap.
    """
    library = work / "callgrind.so"
    work.mkdir(parents=True, exist_ok=True)
    build(library)
    out = work / "callgrind.out"
    prefix = (
        *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"),
        *("--trace-children=no", f"--callgrind-out-file={out}", f"--log-file={work}/valgrind.log"),
    )
    variables = {"BENCH_CALLGRIND": str(library)}
    with driven(
        variant, servers, work, prefix=prefix, variables=variables, folder=folder
    ) as process:
        if steady:
            process.tell("steady")
        sizes = {}
        for route in routes:
            what = ("yardstick",) if route == "yardstick" else ("count", route)
            answer = process.tell(*what, requests)
            expected = "404" if route == "missing" else "200"
            if wrong := [text for text in answer["statuses"] if not text.startswith(expected)]:
                raise RuntimeError(f"/{route} of {variant.title} answered {wrong[0]}")
            sizes[route] = answer["requests"]
        if variant.scraped:
            _make_sure(process, routes, requests)
    return {route: _read(out, route, each) for route, each in sizes.items()}


def _read(out: Path, route: str, requests: int) -> Count:
    """From the files of a route's blocks of so many requests: one for each block and thread."""
    blocks: dict[str, dict[str, int]] = {}
    for block, thread, instructions in files(out, route):
        blocks.setdefault(block, {})[thread] = instructions
    of_all = [sum(threads.values()) / requests for threads in blocks.values()]
    of_main = [threads["01"] / requests for threads in blocks.values()]
    return Count(statistics.fmean(of_all), min(of_main))


def _make_sure(process: Driven, routes: Sequence[str], requests: int) -> None:
    lines = process.tell("scrape")["text"].splitlines()
    for route, name in PROOFS.items():
        if route in routes:
            seen = sum(float(line.split()[-1]) for line in lines if line.startswith(name))
            if seen < requests:
                raise RuntimeError(f"{requests} requests of /{route} gave {name} = {seen:g}")


def build(library: Path) -> None:
    if not library.exists():
        source = MEASURED / "callgrind.c"
        compiler = os.environ.get("CC", "cc")
        # Without a C library's files: the compiler alone is enough.
        options = ("-O1", "-shared", "-fPIC", "-nostdlib")
        argv = [compiler, *options, "-o", str(library), str(source)]
        subprocess.run(argv, check=True, stderr=sys.stderr)


def files(out: Path, route: str) -> Iterator[tuple[str, str, int]]:
    """(number of the dump, of the thread, instructions) of what was written for `route`."""
    for path in out.parent.glob(f"{out.name}.*"):
        text = path.read_text(errors="replace")
        trigger = re.search(r"^desc: Trigger: Client Request: (\w+)$", text, re.MULTILINE)
        total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
        if trigger and total and trigger[1] == route:
            block, _, thread = path.name.removeprefix(f"{out.name}.").partition("-")
            yield block, thread, int(total[1])
