"""What a request, a query and a pipeline cost, the more series, threads, texts and commands there are."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks import callgrind
from tests.benchmarks import plots as draw
from tests.benchmarks.driven import Driven, driven
from tests.benchmarks.environments import environment
from tests.benchmarks.servers import Servers, servers
from tests.benchmarks.variants import MEASURED, VARIANTS

TITLE = "Growth: more series, more threads, more queries"
PROGRAM = MEASURED / "growing.py"
COMPARED = ("bare", "ours", "prometheus_client", "sdk")
STATUSES = 10
SERIES = (10, 100, 1_000, 2_000, 10_000)
THREADS = (1, 2, 4, 8, 16, 32, 64)
# Below what is remembered of texts, at its limit, and far above it.
TEXTS = (10, 1_000, 2_000, 10_000)
COMMANDS = (1, 10, 100, 1_000)
COUNTED = 500
ROUNDS = 12
IN_A_ROUND = 1_280
SERIES_OF_THREADS = 100

# Of each variant, by what grows: instructions or nanoseconds of one request, query or command.
Grown = dict[str, dict[str, float]]


def measure(work: Path) -> dict[str, Any]:
    """Instructions by series, texts and commands; nanoseconds of CPU by threads, interleaved."""
    # Once for all of it: an environment is made anew where a source has changed meanwhile.
    folders = {name: environment(VARIANTS[name].environment) for name in COMPARED}
    with servers(work) as there:
        found = _Growth(there, work, {**folders, "again": folders["bare"]})
        return {
            "series": found.counted(_by_series, COMPARED),
            "texts": found.counted(_by_text, ("bare", "ours")),
            "commands": found.counted(_by_command, ("bare", "ours")),
            "threads": found.by_threads(),
        }


Count = Callable[..., float]


class _Growth:
    """Measures in the environments `folders`, by variant."""

    def __init__(self, there: Servers, work: Path, folders: Mapping[str, Path]) -> None:
        self._there, self._work, self._folders = there, work, folders

    def counted(self, what: Callable[[Count], dict[str, float]], names: Sequence[str]) -> Grown:
        """What `what` finds of each variant, in a process of its own under callgrind."""
        found = {}
        for name in names:
            _say(f"{what.__name__.removeprefix('_')}: {name}")
            with self._under_callgrind(name, f"{name}{what.__name__}") as count:
                found[name] = what(count)
        return found

    @contextmanager
    def _under_callgrind(self, name: str, folder: str) -> Iterator[Count]:
        """What gives the instructions of one call, after a command of the measured program."""
        work = self._work / folder
        work.mkdir()
        library, out = work / "callgrind.so", work / "callgrind.out"
        callgrind.build(library)
        prefix = (
            *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"),
            *("--trace-children=no", f"--callgrind-out-file={out}"),
            f"--log-file={work}/valgrind.log",
        )
        with self._driven(name, work, prefix, {"BENCH_CALLGRIND": str(library)}) as process:
            _check(name, process)

            def count(word: str, name: str, *more: object, before: Sequence[object] = ()) -> float:
                if before:
                    process.tell(*before)
                calls = process.tell(word, name, *more)["calls"]
                return sum(found for *_, found in callgrind.files(out, name)) / float(calls)

            yield count

    def _driven(
        self,
        name: str,
        work: Path,
        prefix: tuple[str, ...] = (),
        variables: dict[str, str] | None = None,
    ) -> AbstractContextManager[Driven]:
        return driven(
            VARIANTS[name], self._there, work,
            prefix=prefix, variables=variables, folder=self._folders[name], program=PROGRAM,
        )  # fmt: skip

    def by_threads(self) -> dict[str, dict[str, list[float]]]:
        """Nanoseconds of each round. All processes are there at once; one is asked at a time."""
        names = ("bare", "again", *COMPARED[1:])
        found: dict[str, dict[str, list[float]]] = {
            name: {str(n): [] for n in THREADS} for name in names
        }
        with ExitStack() as running:
            processes = {
                name: running.enter_context(self._driven(name, self._work / f"{name}-threads"))
                for name in names
            }
            for name, process in processes.items():
                _check(name, process)
                process.tell("routes", SERIES_OF_THREADS // STATUSES, STATUSES)
            for turn in range(ROUNDS):
                _say(f"threads: round {turn + 1} of {ROUNDS}")
                for threads in THREADS:
                    for name in names if turn % 2 else reversed(names):
                        answer = processes[name].tell("threads", threads, IN_A_ROUND // threads)
                        found[name][str(threads)].append(answer["process"])
        return found


def _by_series(count: Count) -> dict[str, float]:
    return {
        str(n): count("count", f"s{n}", COUNTED, before=("routes", n // STATUSES, STATUSES))
        for n in SERIES
    }


def _by_text(count: Count) -> dict[str, float]:
    return {
        f"{kind} {n}": count("texts", f"{kind}{n}", kind, n, COUNTED)
        for kind in ("plain", "with")
        for n in TEXTS
    }


def _by_command(count: Count) -> dict[str, float]:
    return {str(n): count("pipeline", f"p{n}", n, max(5, 500 // n)) / n for n in COMMANDS}


def _check(name: str, process: Driven) -> None:
    """Raises RuntimeError if ours does not count what is to be measured: it would be cheap."""
    process.tell("routes", 1, 1)
    if name == "ours" and process.tell("seen")["seen"] != 1:
        raise RuntimeError("otel-accubooks does not count the requests: see its log")


def _say(line: str) -> None:
    print(f"growth: {line}", file=sys.stderr, flush=True)


def over(grown: Mapping[str, float], bare: Mapping[str, float]) -> dict[str, float]:
    """By what grows, how much more than bare."""
    return {key: grown[key] - bare[key] for key in sorted(grown, key=_size)}


def _size(key: str) -> tuple[str, int]:
    """Of "10" or "plain 10", which files keep in the order of letters."""
    kind, _, number = key.rpartition(" ")
    return kind, int(number)


def over_in_rounds(rounds: Sequence[float], bare: Sequence[float]) -> tuple[float, float]:
    """Least minus least, and the median of the differences within one round."""
    differences = [one - other for one, other in zip(rounds, bare, strict=True)]
    return min(rounds) - min(bare), statistics.median(differences)


def report(results: dict[str, Any], plots: Path) -> str:
    """Tables of series, threads, texts and commands, and the plots of the first two."""
    series, threads = results["series"], results["threads"]
    by_series = {name: over(series[name], series["bare"]) for name in COMPARED[1:]}
    by_threads = {
        name: {n: over_in_rounds(of[n], threads["bare"][n]) for n in sorted(of, key=_size)}
        for name, of in threads.items()
        if name != "bare"
    }
    series_label = "series (routes times statuses)"
    _plot(by_series, plots / "growth-series.svg", series_label, "thousand instructions")
    medians = {name: {n: value[1] for n, value in of.items()} for name, of in by_threads.items()}
    _plot(medians, plots / "growth-threads.svg", "threads", "µs of CPU")
    return "\n".join(
        [
            f"Routes times statuses ({STATUSES} of each route), each as often as the others: thousand "
            "instructions of one request over bare. Ours and the SDK put what is beyond 2,000 series of a "
            "metric into one; prometheus_client has no limit.",
            "",
            _table("series", by_series, lambda value: f"{value / 1000:+,.1f}"),
            "",
            "![Instructions by series](performance/growth-series.svg)",
            "",
            f"Threads of one process that all ask at once: µs of CPU of one request over bare, least and "
            f"median of {ROUNDS} interleaved rounds.",
            "",
            _table(
                "threads",
                by_threads,
                lambda value: f"{value[0] / 1000:+,.1f} / {value[1] / 1000:+,.1f}",
            ),
            "",
            "![CPU time by threads](performance/growth-threads.svg)",
            "",
            "Queries whose texts differ (values written into them), each in its turn, and commands of one "
            "pipeline of Redis: thousand instructions over bare, of one query and of one command.",
            "",
            _table("", {"ours": _ours_over_bare(results["texts"])}, _thousand),
            "",
            _table("commands", {"ours": _ours_over_bare(results["commands"])}, _thousand),
        ]
    )


def _ours_over_bare(grown: Grown) -> dict[str, float]:
    return over(grown["ours"], grown["bare"])


def _thousand(value: float) -> str:
    return f"{value / 1000:+,.2f}"


def _table(head: str, rows: Mapping[str, Mapping[str, Any]], cell: Callable[[Any], str]) -> str:
    columns = list(next(iter(rows.values())))
    lines = [f"| {head} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, values in rows.items():
        title = VARIANTS[name].title
        lines.append(f"| {title} | {' | '.join(cell(values[column]) for column in columns)} |")
    return "\n".join(lines)


def _plot(lines: Mapping[str, Mapping[str, float]], file: Path, grows: str, unit: str) -> None:
    with draw.plot(file) as axes:
        for name, of in lines.items():
            values = [value / 1000 for value in of.values()]
            axes.plot(list(map(int, of)), values, marker="o", label=VARIANTS[name].title)
        axes.set(xscale="log", xlabel=grows, ylabel=f"{unit} of one request, over bare")
        ticks = next(iter(lines.values()))
        axes.set_xticks([int(n) for n in ticks], list(ticks))
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        axes.legend(fontsize="small")
