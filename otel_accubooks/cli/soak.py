"""`otel-accubooks soak`: watches a deployment, and says how it did."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.servers.settings import Servers
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.evaluation import evaluate
from otel_accubooks.soak.report import Report, make, write
from otel_accubooks.soak.watch import Watch

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LINES = 24


class _StoppedError(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(servers: Servers, *, seconds: float, past: bool = False, folder: Path) -> int:
    """Watches for so many seconds, or with `past` looks at as many that are over; writes the report.

    0 where it was stable, 1 where not, 2 where the report cannot be written; 130 after Ctrl-C and 143
    after SIGTERM, with a report on what was seen until then.
    """
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(_beginning(servers, seconds, past=past), highlight=False, soft_wrap=True)
    prometheus = Prometheus(servers.prometheus)
    watch = None if past else Watch(prometheus, servers)
    before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    try:
        make(folder)  # not found out a day later
        stopped = _watch(console, watch, seconds) if watch else 0
        with _progress(console) as told:
            report = evaluate(servers, seconds, watch, told)
        path = write(report, folder)
    except _StoppedError as error:
        console.print("Stopped; no report was written.")
        return 128 + error.number
    except ApiError as error:
        console.print(f"[red]No report.[/] {error}", highlight=False, soft_wrap=True)
        return 1
    except OSError as error:
        said = f"{folder} takes no report: {error}; name another folder"
        console.print(f"[red]No report.[/] {said}", highlight=False, soft_wrap=True)
        return 2
    finally:
        prometheus.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    _tell(console, report, path)
    return 128 + stopped if stopped else int(report.verdict != "STABLE")


def _stop(number: int, _: object = None) -> None:
    raise _StoppedError(number)


def _beginning(servers: Servers, seconds: float, *, past: bool) -> str:
    who = servers.service or "every service"
    how = "Looking at the last" if past else "Watching for"
    later = "" if past else "; Ctrl-C ends it earlier, with a report"
    return f"{how} {spoken(seconds)} of {who} in {servers.prometheus}{later}"


def _watch(console: Console, watch: Watch, seconds: float) -> int:
    """The number of the signal that ended it before its time, else 0."""
    stopped = 0
    try:
        watch.begin()
        with _clock(console, seconds) as seen:
            watch.until(seconds, seen)
    except _StoppedError as error:
        if not watch.start:
            raise
        stopped = error.number
    watch.finish()
    return stopped


@contextmanager
def _clock(console: Console, seconds: float) -> Iterator[Callable[[float], None]]:
    """Shows how much is over: a bar on a terminal, else a line now and then."""
    if console.is_terminal:
        with Progress(*_parts(), console=console) as progress:
            task = progress.add_task("watching", total=seconds)
            yield lambda over: progress.update(task, completed=over)
        return
    every = max(seconds / _LINES, 30.0)
    next_line = [every]

    def line(over: float) -> None:
        if over >= next_line[0]:
            console.print(f"watched for {spoken(over)} of {spoken(seconds)}", highlight=False)
            next_line[0] = over + every

    yield line


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Shows which part of the report is made."""
    if not console.is_terminal:
        console.print("making the report")
        yield lambda *_: None
        return
    with Progress(*_parts(), console=console) as progress:
        task = progress.add_task("the report", total=None)
        yield lambda name, done, total: progress.update(
            task, description=name, completed=done, total=total
        )


def _parts() -> tuple[SpinnerColumn, TextColumn, BarColumn, TimeElapsedColumn]:
    return SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()


def _tell(console: Console, report: Report, path: Path) -> None:
    colours = {"STABLE": "green", "NOT STABLE": "red", "UNFINISHED": "yellow"}
    for state, word in (("failed", "failed"), ("unseen", "not seen")):
        for one in report.findings(state):
            console.print(f"{word}: {one.said}", markup=False, highlight=False, soft_wrap=True)
    for usual in report.baseline:
        if usual.suggestion.value is not None:
            change = f"{usual.threshold:g} to {usual.suggestion.value:g}"
            said = f"suggested: {usual.alert} ({usual.group}): {change}, in {usual.where}"
            console.print(said, markup=False, highlight=False, soft_wrap=True)
    headline = report.headline.removeprefix(report.verdict)
    console.print(f"[{colours[report.verdict]}]{report.verdict}[/]{headline}", highlight=False)
    console.print(
        f"Report: {path}, and {path.with_suffix('.json').name} for machines", soft_wrap=True
    )
