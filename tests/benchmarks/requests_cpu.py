"""What a request costs in CPU time, beside the peers: all are alive at once and take turns."""

from __future__ import annotations

import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks import plots as draw
from tests.benchmarks.driven import Driven, driven
from tests.benchmarks.servers import servers
from tests.benchmarks.variants import VARIANTS

TITLE = "A request, in CPU time"
ROUTES = ("plain", "db", "mix")
WARM_UP = 500
ROUNDS = 30
REQUESTS = 100


def measure(work: Path) -> dict[str, Any]:
    """Per variant and route: for each round the nanoseconds of CPU of a request, of the process."""
    found: dict[str, dict[str, list[float]]] = {
        name: {route: [] for route in ROUTES} for name in VARIANTS
    }
    with servers(work) as reached, ExitStack() as stack:
        processes: dict[str, Driven] = {}
        for name, variant in VARIANTS.items():
            processes[name] = stack.enter_context(driven(variant, reached, work / name))
            for route in ROUTES:
                processes[name].tell("time", route, WARM_UP)
            print(f"{name} is warm", file=sys.stderr, flush=True)
        names = list(processes)
        for number in range(ROUNDS):
            for route in ROUTES:
                # Nobody is always the first, or always behind the same one.
                turn = names[number % len(names) :] + names[: number % len(names)]
                for name in turn if number % 2 else reversed(turn):
                    answer = processes[name].tell("time", route, REQUESTS)
                    found[name][route].append(answer["process"])
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
    return {"nanoseconds": found}


def report(results: dict[str, Any], plots: Path) -> str:
    """What each variant adds: least over least, and median of the differences within a round."""
    found: dict[str, dict[str, list[float]]] = results["nanoseconds"]
    least = {name: {r: min(of[r]) / 1000 for r in ROUTES} for name, of in found.items()}
    draw.added(least, ROUTES, plots / "requests_cpu.svg", "microseconds added", scale=1)
    heads = [f"`{route}` (bare {least['bare'][route]:.0f} µs)" for route in ROUTES]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(ROUTES)}"]
    for name in sorted(found, key=lambda each: least[each]["plain"]):
        if name == "bare":
            continue
        cells = [
            f"{least[name][route] - least['bare'][route]:+.0f} / {_median(found, name, route):+.0f} µs"
            f" ({least[name][route] / least['bare'][route]:.2f})"
            for route in ROUTES
        ]
        title = VARIANTS[name].title
        lines.append(f"| {f'**{title}**' if name == 'ours' else title} | {' | '.join(cells)} |")
    table = "\n".join(lines)
    return f"""\
CPU of the whole process, its background threads and the sending of spans with it, over bare: the least of
{len(found["bare"]["plain"])} rounds over the least of bare / the median of the differences within a round
(and the ratio of the least ones). All processes live at once and take turns of {REQUESTS} requests.

{table}

![Added CPU time](performance/requests_cpu.svg)
"""


def _median(found: dict[str, dict[str, list[float]]], name: str, route: str) -> float:
    pairs = zip(found[name][route], found["bare"][route], strict=True)
    return statistics.median(one - bare for one, bare in pairs) / 1000
