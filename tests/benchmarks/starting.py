"""What a process pays until it is ready, in CPU and memory, and what the exporter of the host holds."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.driven import driven
from tests.benchmarks.environments import environment
from tests.benchmarks.servers import Servers, servers
from tests.benchmarks.variants import DISABLED, MEASURED, OURS, VARIANTS, Variant

TITLE = "Start-up and memory"
PROGRAM = MEASURED / "started.py"
ROUNDS = 20
SERIES = 5_000
SENT_SECONDS = 20.0  # the exporter has collected and sent several times by then
LAUNCHER = Variant("the launcher alone", "launcher", ("opentelemetry-instrument",))
FLASK, NOTHING = "application", "nothing"
# What our share may be over the launcher alone: CPU in ms, resident memory in MiB.
LIMITS = {"ours": (50.0, 4.0), "plain_ours": (10.0, None)}
EXPORTER_LIMIT_MIB = 45.0


@dataclass(frozen=True)
class Start:
    """One row: a variant, and what its process imports."""

    variant: Variant
    imports: str
    over: str | None  # the row that it is compared with


STARTS = {
    "bare": Start(VARIANTS["bare"], FLASK, None),
    "again": Start(VARIANTS["again"], FLASK, "bare"),
    "launcher": Start(LAUNCHER, FLASK, "bare"),
    "ours": Start(OURS, FLASK, "launcher"),
    "disabled": Start(DISABLED, FLASK, "launcher"),
    "sdk": Start(VARIANTS["sdk"], FLASK, "bare"),
    "stock": Start(VARIANTS["otel_metrics"], FLASK, "bare"),
    "plain_bare": Start(VARIANTS["bare"], NOTHING, None),
    "plain_launcher": Start(LAUNCHER, NOTHING, "plain_bare"),
    "plain_ours": Start(OURS, NOTHING, "plain_launcher"),
    "plain_stock": Start(VARIANTS["otel_metrics"], NOTHING, "plain_bare"),
}


def measure(work: Path) -> dict[str, Any]:
    """Per row the figures of each of its starts, in turns, and its instructions; the exporter's KiB."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in STARTS}
    with servers(work) as reached:
        # Twice unmeasured: what is compiled, and read from the disk, is so from then on.
        for number in range(-2, ROUNDS):
            names = list(STARTS)
            turn = names[number % len(names) :] + names[: number % len(names)]
            for name in turn if number % 2 else reversed(turn):
                cost = _started(STARTS[name], reached, work / name)
                if number >= 0:
                    found[name].append(cost)
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
        instructions = {name: _instructions(STARTS[name], reached, work) for name in STARTS}
        few, many = (_exporter(count, reached, work) for count in (10, SERIES))
    exporter = {"few": few, "many": many, "bare": _bare()}
    return {"starts": found, "instructions": instructions, "exporter": exporter}


def _started(start: Start, reached: Servers, work: Path) -> dict[str, Any]:
    variables = {"BENCH_IMPORTS": start.imports}
    with driven(start.variant, reached, work, variables=variables, program=PROGRAM) as process:
        return process.tell("cost")


def _instructions(start: Start, reached: Servers, work: Path) -> int:
    """Those of the whole life of a process that does no more, without the launcher before it."""
    out = work / "start.callgrind"
    prefix = (
        "valgrind",
        "--tool=callgrind",
        f"--callgrind-out-file={out}",
        f"--log-file={out}.log",
    )
    variables = {"BENCH_IMPORTS": start.imports}
    with driven(
        start.variant, reached, work, prefix=prefix, variables=variables, program=PROGRAM
    ) as process:
        process.tell("cost")
    total = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    if total is None:
        raise RuntimeError(f"valgrind counted nothing: {out}.log")
    print(f"{start.variant.title}, {start.imports}: {total[1]} instructions", file=sys.stderr)
    return int(total[1])


def _exporter(series: int, reached: Servers, work: Path) -> dict[str, int]:
    variables = {
        "BENCH_IMPORTS": "histograms",
        "BENCH_SERIES": str(series),
        "OTEL_ACCUBOOKS_SERIES_LIMIT": str(2 * SERIES),
        "OTEL_METRIC_EXPORT_INTERVAL": "2000",
    }
    with driven(OURS, reached, work / "series", variables=variables, program=PROGRAM) as process:
        folder = process.tell("cost")["folder"]
        time.sleep(SENT_SECONDS)
        return _memory(_exporter_of(folder))


def _exporter_of(folder: str) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile
        if folder.encode() in words and any(b"otel_accubooks.export" in word for word in words):
            return int(path.parent.name)
    raise RuntimeError(f"no exporter works in {folder}")


def _bare() -> dict[str, int]:
    with _interpreter() as pid:
        return _memory(pid)


@contextmanager
def _interpreter() -> Iterator[int]:
    """One that has imported nothing, as the exporter is started: without site-packages."""
    python = environment(OURS.environment) / "bin/python"
    program = "print(flush=True); input()"
    process = subprocess.Popen(
        [str(python), "-S", "-E", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        process.communicate(b"\n")


def _memory(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"resident": kib["Rss"], "own": kib["Private_Clean"] + kib["Private_Dirty"]}


def report(results: dict[str, Any], plots: Path) -> str:
    """Each row over the row that it is compared with, and the exporter over a bare interpreter."""
    found = results["starts"]
    titles = {
        name: f"{start.variant.title}{', a script that imports nothing' * (start.imports == NOTHING)}"
        for name, start in STARTS.items()
    }
    head = "| | over | CPU, ms: least / median | M instructions | RSS, MiB | own, MiB | at most |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    for name, start in STARTS.items():
        cpu = [each["cpu_ms"] for each in found[name]]
        resident, own = (_mib(found[name], key) for key in ("resident_kib", "own_kib"))
        counted = results["instructions"][name] / 1e6
        if start.over is None:
            cells = [
                f"{min(cpu):.0f} / {statistics.median(cpu):.0f}",
                f"{counted:.0f}",
                f"{resident:.1f}",
                f"{own:.1f}",
            ]
            lines.append(f"| {titles[name]} | | {' | '.join(cells)} | |")
            continue
        other = found[start.over]
        base = [each["cpu_ms"] for each in other]
        pairs = [one - two for one, two in zip(cpu, base, strict=True)]
        cells = [
            f"{min(cpu) - min(base):+.0f} / {statistics.median(pairs):+.0f}",
            f"{counted - results['instructions'][start.over] / 1e6:+.0f}",
            f"{resident - _mib(other, 'resident_kib'):+.1f}",
            f"{own - _mib(other, 'own_kib'):+.1f}",
        ]
        most_ms, most_mib = LIMITS.get(name, (None, None))
        limits = [
            f"{most:.0f} {unit}"
            for most, unit in ((most_ms, "ms"), (most_mib, "MiB"))
            if most is not None
        ]
        title = f"**{titles[name]}**" if name in LIMITS else titles[name]
        lines.append(
            f"| {title} | {titles[start.over]} | {' | '.join(cells)} | {', '.join(limits)} |"
        )
    exporter = results["exporter"]
    few, many, bare = (exporter[name] for name in ("few", "many", "bare"))
    table = "\n".join(lines)
    return f"""\
CPU until the application is ready (Flask, a psycopg2 pool that is connected, a Redis client), all threads
and the launcher itself included: the least of {len(found["bare"])} starts over the least of the row that it
is compared with / the median of the differences within a round. Instructions are of one start, without
the launcher's own. Memory is a median; its own is what no other process shares.

{table}

The one exporter of the host, over a bare interpreter: **{_over(many, bare, "resident")} MiB** resident
({_over(many, bare, "own")} MiB of its own) with {SERIES:,} histogram series, of at most
{EXPORTER_LIMIT_MIB:.0f}; {_over(few, bare, "resident")} MiB with 10.
"""


def _mib(starts: list[dict[str, Any]], key: str) -> float:
    return statistics.median(each[key] for each in starts) / 1024


def _over(one: dict[str, int], other: dict[str, int], key: str) -> str:
    return f"{(one[key] - other[key]) / 1024:.1f}"
