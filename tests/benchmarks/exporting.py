"""What an export and a scrape cost, beside the OpenTelemetry SDK and prometheus_client."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import plots as draw
from tests.benchmarks.environments import environment

TITLE = "Exports and scrapes: CPU of one"
ROUNDS = 9
# What is made: its name, kind and number of series, over how many processes; what must be reached, as
# a share of which peer.
CASES: tuple[tuple[str, str, int, int, str, float], ...] = (
    ("OTLP, 2,000 counters", "counter", 2000, 1, "OpenTelemetry SDK", 10 / 32),
    ("OTLP, 5,000 histograms", "histogram", 5000, 1, "OpenTelemetry SDK", 1 / 2),
    ("scrape, 5,000 counters of 4 workers", "counter", 5000, 4, "prometheus_client", 1 / 3),
    ("scrape, 5,000 histograms of 4 workers", "histogram", 5000, 4, "prometheus_client", 1 / 3),
)
OURS = "otel-accubooks"
_MEASURED = Path(__file__).with_name("measured") / "one_export.py"


def measure(work: Path) -> dict[str, Any]:
    """Milliseconds of CPU of each round, by case and way; the ways take turns, round by round."""
    pythons = {name: environment(name) / "bin/python" for name in ("plugin", "otel")}
    found: dict[str, Any] = {}
    for number, (case, kind, series, workers, _, _) in enumerate(CASES):
        print(f"exporting: {case}", file=sys.stderr, flush=True)
        do = case.split(",", maxsplit=1)[0].lower()
        ways = {
            OURS: ("plugin", "ours"),
            f"{OURS}, a tenth changed": ("plugin", "tenth"),
            f"{OURS} again (A/A)": ("plugin", "ours"),
        }
        if do == "otlp":
            ways["OpenTelemetry SDK"] = ("otel", "sdk")
        else:
            ways["prometheus_client"] = ("otel", "multiprocess")
            ways["OpenTelemetry PrometheusMetricReader, one process"] = ("otel", "reader")
        started = {}
        for place, (way, (env, what)) in enumerate(ways.items()):
            folder = work / f"{number}-{place}"
            folder.mkdir(mode=0o700)
            argv = [str(pythons[env]), str(_MEASURED), what, do, kind, str(series), str(workers)]
            started[way] = _start(argv, folder)
        try:
            found[case] = _rounds(started)
        finally:
            for process in started.values():
                process.communicate()  # it ends at the end of what it reads
    return found


def _start(argv: list[str], folder: Path) -> subprocess.Popen[str]:
    # The folder says where prometheus_client's processes meet, before it is imported.
    env = (
        {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)} if "multiprocess" in argv else None
    )
    pipe = subprocess.PIPE
    return subprocess.Popen([*argv, str(folder)], stdin=pipe, stdout=pipe, text=True, env=env)


def _rounds(started: dict[str, subprocess.Popen[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {way: [] for way in started}
    for _ in range(ROUNDS + 1):
        for way, process in started.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            found[way].append(json.loads(process.stdout.readline()))
    # The first one finds nothing prepared.
    return {way: {"first": all_[0], "then": all_[1:]} for way, all_ in found.items()}


def report(results: dict[str, Any], plots: Path) -> str:
    """Least and median of each way, and what of the peer that is."""
    lines = [
        "CPU milliseconds of one collection with its encoding (OTLP: to the finished bytes) or its "
        "page, every series changed since the last. The first finds nothing prepared.",
        "",
        "| | | least | median | first | share of the peer's least | target |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for case, _, _, _, peer, target in CASES:
        of_peer = min(results[case][peer]["then"])
        for way, times in results[case].items():
            least = min(times["then"])
            figures = [least, statistics.median(times["then"]), times["first"]]
            share = f"{least / of_peer:.2f}"
            wanted = f"at most {target:.2f}" if way == OURS else ""
            cells = [case, way, *[f"{figure:.1f}" for figure in figures], share, wanted]
            lines.append("| " + " | ".join(cells) + " |")
    _plot(results, plots / "exporting.svg")
    lines += ["", "![CPU of exports and scrapes](performance/exporting.svg)"]
    return "\n".join(lines)


def _plot(results: dict[str, Any], path: Path) -> None:
    with draw.plot(path, rows=len(CASES), size=(8, 9)) as axes:
        for axis, (case, *_) in zip(axes, CASES, strict=True):
            ways = list(results[case])[::-1]
            axis.barh(ways, [min(results[case][way]["then"]) for way in ways])
            axis.set_title(f"{case}: least CPU (ms)", fontsize=10)
            axis.tick_params(labelsize=8)
