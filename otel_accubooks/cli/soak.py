"""`otel-accubooks soak`: watches a deployment, and says how it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from otel_accubooks.cli.screen import bar, moves, screen
from otel_accubooks.cli.stopping import Stopped, stoppable
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.servers.settings import Servers
from otel_accubooks.soak.duration import spoken
from otel_accubooks.soak.evaluation import evaluate
from otel_accubooks.soak.report import Report, make, write
from otel_accubooks.soak.watch import Watch

_LINES = 24


def run(servers: Servers, *, seconds: float, past: bool = False, folder: Path) -> int:
    """Watches for so many seconds, or with `past` looks at as many that are over; writes the report.

    0 where it was stable, 1 where not, 2 where the report cannot be written; 130 after Ctrl-C and 143
    after SIGTERM, with a report on what was seen until then.
    """
    console = screen()
    console.print(_beginning(servers, seconds, past=past))
    prometheus = Prometheus(servers.prometheus)
    watch = None if past else Watch(prometheus, servers)
    stopped = None
    try:
        with stoppable():
            make(folder)  # not found out a day later
            if watch:
                stopped = _watch(console, watch, seconds)
            with bar(console, "making the report") as show:
                report = evaluate(
                    servers, seconds, watch, lambda name, done, total: show(done, total, name)
                )
            path = write(report, folder)
    except Stopped as error:
        console.print("Stopped; no report was written.")
        return error.exit_status
    except ApiError as error:
        console.print(f"[red]No report.[/] {escape(str(error))}")
        return 1
    except OSError as error:
        said = f"{folder} takes no report: {error}; name another folder"
        console.print(f"[red]No report.[/] {escape(said)}")
        return 2
    finally:
        prometheus.close()
    _tell(console, report, path)
    return stopped.exit_status if stopped else int(report.verdict != "STABLE")


def _beginning(servers: Servers, seconds: float, *, past: bool) -> str:
    who = servers.service or "every service"
    how = "Looking at the last" if past else "Watching for"
    later = "" if past else "; Ctrl-C ends it earlier, with a report"
    return f"{how} {spoken(seconds)} of {who} in {servers.prometheus}{later}"


def _watch(console: Console, watch: Watch, seconds: float) -> Stopped | None:
    """What ended it before its time, if something did."""
    stopped = None
    try:
        watch.begin()
        with _clock(console, seconds) as seen:
            watch.until(seconds, seen)
    except Stopped as error:
        if not watch.start:
            raise
        stopped = error
    watch.finish()
    return stopped


@contextmanager
def _clock(console: Console, seconds: float) -> Iterator[Callable[[float], None]]:
    """Shows how much is over: a bar on a terminal, else a line now and then."""
    if moves(console):
        with bar(console, "watching", seconds) as show:
            yield show
        return
    every = max(seconds / _LINES, 30.0)
    next_line = [every]

    def line(over: float) -> None:
        if over >= next_line[0]:
            console.print(f"watched for {spoken(over)} of {spoken(seconds)}")
            next_line[0] = over + every

    yield line


def _tell(console: Console, report: Report, path: Path) -> None:
    colours = {"STABLE": "green", "NOT STABLE": "red", "UNFINISHED": "yellow"}
    for state, word in (("failed", "failed"), ("unseen", "not seen")):
        for one in report.findings(state):
            console.print(f"{word}: {one.said}", markup=False)
    for usual in report.baseline:
        if usual.suggestion.value is not None:
            change = f"{usual.threshold:g} to {usual.suggestion.value:g}"
            said = f"suggested: {usual.alert} ({usual.group}): {change}, in {usual.where}"
            console.print(said, markup=False)
    headline = report.headline.removeprefix(report.verdict)
    console.print(f"[{colours[report.verdict]}]{report.verdict}[/]{headline}")
    console.print(f"Report: {path}, and {path.with_suffix('.json').name} for machines")
