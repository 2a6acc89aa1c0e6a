"""The slowest requests of a loaded application while thousands of series are exported each second."""

from __future__ import annotations

import signal
import statistics
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server
from tests.benchmarks import plots as draw
from tests.benchmarks.environments import environment
from tests.benchmarks.open_loop import latencies
from tests.benchmarks.servers import Servers, servers
from tests.benchmarks.variants import MEASURED, VARIANTS, command

TITLE = "Tail: the slowest requests while 5,000 series are exported each second"
COMPARED = ("bare", "again", "ours", "sdk")
TARGET_MS = 1.0
STATUSES = (200, 201, 400, 401, 403, 404, 409, 422, 429, 500)
# Each route and status is a series of a counter and one of a histogram.
ROUTES = 250
PATH = "/mix"
RATE = 100.0
ROUND_SECONDS = 6.0
# The first second after a stop is not counted: caches are cold, and what was due is exported at once.
WARMING_SECONDS = 1.5
ROUNDS = 15
SETTINGS = {
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_ACCUBOOKS_SERIES_LIMIT": "5000",
    "BENCH_ROUTES": str(ROUTES),
}


class Loaded:
    """gunicorn with the application under one variant, and whatever exports for it."""

    def __init__(self, port: int, state: Path, server: Server) -> None:
        self.port = port
        self._state, self._server = state, server

    def grow(self) -> None:
        """Asks for every route with every status, which makes the series."""
        for number in range(ROUTES):
            for status in STATUSES:
                self.get(f"/route-{number}?{status}")

    def get(self, path: str) -> str:
        """The body of an answer, whatever its status."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as answer:
            return answer.read().decode()

    def signal(self, number: signal.Signals) -> None:
        """Stops it (SIGSTOP), so that it takes nothing from the others, or lets it go on (SIGCONT)."""
        for process in self._processes():
            process.send_signal(number)

    def exporter_seconds(self) -> float:
        """CPU seconds so far of the processes that only export."""
        return sum(sum(one.cpu_times()[:2]) for one in self._exporters())

    def _processes(self) -> list[psutil.Process]:
        top = psutil.Process(self._server.pid)
        return [top, *top.children(recursive=True), *self._exporters()]

    def _exporters(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(part.startswith(str(self._state)) for part in process.info["cmdline"] or ())
        ]


def measure(work: Path) -> dict[str, Any]:
    """Milliseconds of each request in each round of each variant; they take turns."""
    found: dict[str, list[list[float]]] = {name: [] for name in COMPARED}
    with ExitStack() as running:
        there = running.enter_context(servers(work))
        loaded = {name: running.enter_context(_started(name, there, work)) for name in COMPARED}
        for name, one in loaded.items():
            _say(f"series of {name}")
            one.grow()
            latencies(one.port, PATH, rate=RATE, seconds=2)
        page = loaded["ours"].get("/api/monitoring/metrics")
        for one in loaded.values():
            one.signal(signal.SIGSTOP)
        running.callback(_go_on, loaded)
        exporter = 0.0
        for turn in range(ROUNDS):
            for at in range(len(COMPARED)):
                name = COMPARED[(at + turn) % len(COMPARED)]
                one = loaded[name]
                one.signal(signal.SIGCONT)
                latencies(one.port, PATH, rate=RATE, seconds=WARMING_SECONDS)
                before = one.exporter_seconds()
                took = latencies(one.port, PATH, rate=RATE, seconds=ROUND_SECONDS)
                if name == "ours":
                    exporter += one.exporter_seconds() - before
                one.signal(signal.SIGSTOP)
                found[name].append([round(1000 * seconds, 3) for seconds in took])
            _say(f"round {turn + 1} of {ROUNDS}")
    return {
        "milliseconds": found,
        "rate": RATE,
        "series": series_on(page),
        "exporter_cpu": exporter / (ROUNDS * ROUND_SECONDS),
    }


def series_on(page: str) -> int:
    """How many series the text of a scrape has; a histogram is one."""
    lines = (line for line in page.splitlines() if line and not line.startswith("#"))
    names = (line.partition(" ")[0].partition("{")[0] for line in lines)
    return sum(not name.endswith(("_bucket", "_sum")) for name in names)


@contextmanager
def _started(name: str, there: Servers, work: Path) -> Iterator[Loaded]:
    variant = VARIANTS[name]
    state, port = work / f"{name}-state", free_port()
    argv, env = command(variant, there, state, folder=environment(variant.environment))
    gunicorn = str(Path(argv[-1]).with_name("gunicorn"))
    # It is stopped for long, which a master must not take for a hanging worker.
    options = ["--workers", "2", "--threads", "4", "--timeout", "0", "--keep-alive", "600"]
    argv += [gunicorn, *options, "--bind", f"127.0.0.1:{port}", "loaded:app"]
    server = Server(
        name,
        argv,
        log=work / f"{name}.log",
        env={**env, **SETTINGS, "PYTHONPATH": str(MEASURED)},
        cwd=MEASURED,
        ready=lambda: tcp_open(port),
    )
    with server:
        yield Loaded(port, state, server)


def _go_on(loaded: Mapping[str, Loaded]) -> None:
    for one in loaded.values():
        one.signal(signal.SIGCONT)
    time.sleep(0.5)


def _say(line: str) -> None:
    print(f"tail: {line}", file=sys.stderr, flush=True)


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of all values is not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(len(ordered) * share * 1e6) // 1_000_000) - 1)]


def pooled(rounds: Sequence[Sequence[float]], share: float) -> float:
    """The quantile of the requests of all rounds together."""
    return quantile([value for one in rounds for value in one], share)


def by_round(
    rounds: Sequence[Sequence[float]], bare: Sequence[Sequence[float]], share: float
) -> float:
    """The median of the differences between the quantiles of one round and of bare's."""
    return statistics.median(
        quantile(one, share) - quantile(other, share)
        for one, other in zip(rounds, bare, strict=True)
    )


def report(results: dict[str, Any], plots: Path) -> str:
    """A table of the quantiles and their differences, and a plot of the slowest."""
    found = results["milliseconds"]
    rows = [
        "| | requests | p50 | p99 | p99.9 | p99 over bare | the same, median of rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rounds in found.items():
        cells = [f"{pooled(rounds, share):.2f} ms" for share in (0.5, 0.99, 0.999)]
        if name != "bare":
            cells.append(f"{pooled(rounds, 0.99) - pooled(found['bare'], 0.99):+.2f} ms")
            cells.append(f"{by_round(rounds, found['bare'], 0.99):+.2f} ms")
        else:
            cells += ["", ""]
        number = sum(map(len, rounds))
        rows.append(f"| {VARIANTS[name].title} | {number:,} | {' | '.join(cells)} |")
    _plot(found, plots / "tail.svg")
    return "\n".join(
        [
            f"Target: p99 at most {TARGET_MS:g} ms over bare. gunicorn with two workers of four threads, "
            f"{results['rate']:g} requests a second to {PATH} (two queries and three Redis calls), whether "
            "answered or not; latency counts from the moment a request was due. Variants take turns of "
            f"{ROUND_SECONDS:g} s, {ROUNDS} each, and all processes of the others are stopped meanwhile. "
            f"Ours exports {results['series']:,} series each second, half of them histograms; its exporter "
            f"takes {100 * results['exporter_cpu']:.0f} % of one core for that.",
            "",
            *rows,
            "",
            "![The slowest requests](performance/tail.svg)",
        ]
    )


def _plot(found: Mapping[str, Sequence[Sequence[float]]], file: Path) -> None:
    shares = [1 - 10 ** -(step / 20) for step in range(6, 61)]
    with draw.plot(file) as axes:
        for name, rounds in found.items():
            slow = [pooled(rounds, share) for share in shares]
            axes.plot([1 - share for share in shares], slow, label=VARIANTS[name].title)
        axes.set(xscale="log", xlabel="share of the requests that are slower", ylabel="ms", ylim=0)
        axes.invert_xaxis()
        axes.legend(fontsize="small")
