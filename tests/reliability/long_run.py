"""A deployment that never rests: load, recycling, failing jobs, and one backend after the other."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import httpx
import psutil

from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.soak.found import number, size
from otel_accubooks.soak.limits import Limits
from otel_accubooks.soak.statistics import trend
from otel_accubooks.stack.binaries import find_collector
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.deployment import Deployment
from tests.reliability.long_run_load import HERE, Load, answered, celery_worker, ended, forecasts

BOTH, PROMETHEUS, DATADOG = ("prometheus", "datadog"), ("prometheus",), ("datadog",)
# Beside each time of Prometheus alone there is one of both: what Datadog missed can be read there.
TURNS = (BOTH, PROMETHEUS, BOTH, DATADOG)
_ARRIVAL_SECONDS = 90.0
_GUNICORN = f"--config {HERE / 'long_run_truth.py'} --max-requests 60 --max-requests-jitter 40"

_WHAT = """the example application under the launcher: gunicorn with three workers, each of which ends
after 60 to 100 requests, an RQ worker, a Celery worker whose two children end after five tasks,
PostgreSQL, Redis. Every three seconds a web worker was asked to end, every fifteen the RQ worker was
replaced. Forecasts of two of five companies fail, and one task in five. The gateway was restarted with
other backend files: both, Prometheus alone, both, Datadog alone, and again."""
_HOW = """What was done is counted by the server itself (gunicorn's hook after each answer), by the tasks,
in the database and by the people. What Datadog missed while Prometheus alone was named is Prometheus's
own growth in that time."""

Labels = Mapping[str, str]


@dataclass
class Total:
    """One total: what the application did, and what each backend says, in the end."""

    metric: str
    labels: Labels
    done: float
    missed: float = 0.0  # while Datadog was not among the backends
    prometheus: float = 0.0
    datadog: float = 0.0

    @property
    def right(self) -> bool:
        """Nothing is lost, and nothing twice."""
        return self.prometheus == self.done and self.datadog == self.done - self.missed


@dataclass
class Seen:
    """What was seen of a run. `kept` has (seconds since the start, value) of what must not grow."""

    seconds: float = 0.0
    totals: list[Total] = field(default_factory=list)
    swaps: int = 0
    web: int = 0  # processes that served, one after the other
    tasks: int = 0
    terminated: int = 0
    exporters: set[int] = field(default_factory=set)
    overwritten: int = 0
    files: int = 0
    alive: int = 0
    kept: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def wrong(self) -> list[str]:
        """What is not as it should be, in words; nothing of a run that was well."""
        said = [f"{one}" for one in self.totals if not one.right]
        said += [f"{name} grows" for name in self.kept if self.grows(name)]
        if self.overwritten:
            said.append(f"{self.overwritten} points of one second in Datadog")
        if len(self.exporters) != 1:
            said.append(f"{len(self.exporters)} exporters, one after the other")
        return said

    def grows(self, name: str) -> bool:
        """True if it grows steadily and to the end, as `otel-accubooks soak` judges it.

        A quarter of its bytes are enough: these are small processes, seen for hours instead of days.
        The first quarter is not judged: until then not everybody has done everything once.
        """
        points, limits = self.kept[name], Limits()
        found = trend([one for one in points if one[0] > points[-1][0] / 4])
        least = {"memory": limits.growth_bytes / 4, "series": 500.0}.get(
            name.rsplit(maxsplit=1)[-1]
        )
        return found is not None and found.keeps_growing(
            limits.growth_share, least or limits.growth_descriptors, limits.steadiness
        )


class LongRun:
    """`seconds` of load on a deployment in `folder`, with another backend every `swap` seconds."""

    def __init__(self, folder: Path, seconds: float, swap: float, look_every: float) -> None:
        self._seconds, self._swap, self._look_every = seconds, swap, look_every
        self._requests, self._reports = folder / "requests", folder / "reports"
        settings = {
            "GUNICORN_CMD_ARGS": _GUNICORN,
            "LONG_RUN_ACCOUNT": str(self._requests),
            "LONG_RUN_TASKS": str(self._reports),
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }
        self._deployment = Deployment(folder, BOTH, settings=settings)
        self._over = threading.Event()
        self._alone: list[tuple[float, float]] = []  # when Prometheus was without Datadog
        self._seen = Seen()
        self._exporter: psutil.Process | None = None

    def run(self) -> Seen:
        """Runs it all; what was seen of it. Raises what any of those who load it raised."""
        with self._deployment.start(lambda _: None), ExitStack() as running:
            env = self._deployment.gunicorn.env
            assert env is not None
            self._celery = running.enter_context(celery_worker(self._deployment, env))
            self._gateway: Collector = self._deployment.gateway
            load = Load(self._deployment)
            others = [load.thread(one) for one in (self._recycle, self._look)]
            began = time.monotonic()
            load.start()
            for thread in others:
                thread.start()
            try:
                self._change_backends(running)
            finally:
                self._over.set()
                for thread in others:
                    thread.join()
                load.stop()
            self._seen.seconds = time.monotonic() - began
            self._wait_for_tasks(load)
            self._compare(load)
            self._count_files()
        return self._seen

    def _change_backends(self, running: ExitStack) -> None:
        turns = cycle(TURNS)
        now, end = next(turns), time.monotonic() + self._seconds
        since = time.time()
        while True:
            time.sleep(max(0, min(self._swap, end - time.monotonic())))
            self._gateway.stop()
            if now == PROMETHEUS:
                self._alone.append((since, time.time()))
            if time.monotonic() >= end:
                break
            now, since = next(turns), time.time()
            self._begin(running, now)
        self._begin(running, BOTH)  # whichever was named last, each is told all

    def _begin(self, running: ExitStack, backends: tuple[str, ...]) -> None:
        """The gateway again, with its folder and ports, and other backend files."""
        before, deployment = self._gateway, self._deployment
        folder, binary = deployment.folder / "gateway", find_collector()
        self._gateway = running.enter_context(
            Collector(folder, binary, backends, env=before.env, ports=deployment.ports)
        )
        self._seen.swaps += 1

    def _recycle(self) -> None:
        """Every three seconds a worker is asked to end; every fifth time that of RQ, and gently."""
        chosen = random.Random(7)
        for turn in cycle(range(5)):
            if self._over.wait(3):
                return
            if turn == 4:
                self._deployment.worker.stop(60)
                self._deployment.worker.start()
            else:
                workers = psutil.Process(self._deployment.gunicorn.pid).children()
                os.kill(chosen.choice(workers).pid, signal.SIGTERM)
            self._seen.terminated += 1

    def _look(self) -> None:
        began = time.time()
        while not self._over.wait(self._look_every):
            at = time.time() - began
            for name, value in self._values():
                self._seen.kept.setdefault(name, []).append((at, value))

    def _values(self) -> Iterator[tuple[str, float]]:
        state = self._deployment.folder / "state"
        exporter = self._exporter = _exporter(state, self._exporter)
        if exporter:
            self._seen.exporters.add(exporter.pid)
            yield "exporter: bytes of memory", _memory([exporter])
            yield "exporter: descriptors", _descriptors([exporter])
        master = psutil.Process(self._deployment.gunicorn.pid)
        servers = (self._deployment.gunicorn, self._deployment.worker, self._celery)
        family = [one for server in servers for one in _family(server.pid) if one != exporter]
        yield "gunicorn's master: bytes of memory", _memory([master])
        yield "application: processes", len(family)
        yield "application: bytes of memory", _memory(family)
        yield "application: descriptors", _descriptors(family)
        gateway = _family(self._gateway.pid)
        if gateway:  # else between two of them
            yield "gateway: bytes of memory", _memory(gateway)
            yield "gateway: descriptors", _descriptors(gateway)
        yield "shared folder: KiB", sum(map(_kib, state.rglob("*")))
        yield "shared folder: files", sum(1 for path in state.rglob("*") if path.is_file())
        page = httpx.get(f"{self._deployment.url}/api/monitoring/metrics", timeout=60)
        page.raise_for_status()
        yield "series", sum(1 for line in page.text.splitlines() if line and line[0] != "#")

    def _wait_for_tasks(self, load: Load) -> None:
        give_up = time.monotonic() + _ARRIVAL_SECONDS
        while ended(self._reports)[0].total() < load.sent and time.monotonic() < give_up:
            time.sleep(0.2)

    def _compare(self, load: Load) -> None:
        """Waits until all is as it should be, or long enough."""
        deployment, seen = self._deployment, self._seen
        assert deployment.prometheus is not None
        assert deployment.datadog is not None
        prometheus = Prometheus(deployment.prometheus.url)
        give_up = time.monotonic() + _ARRIVAL_SECONDS
        while True:
            # Again and again: the server notes an answer after it is out.
            seen.totals = list(self._truth(load))
            for one in seen.totals:
                one.missed = sum(
                    _in_prometheus(prometheus, one, until) - _in_prometheus(prometheus, one, since)
                    for since, until in self._alone
                )
                one.prometheus = _in_prometheus(prometheus, one)
                one.datadog = deployment.datadog.value(one.metric, **one.labels)
            if all(one.right for one in seen.totals) or time.monotonic() > give_up:
                break
            time.sleep(1)
        prometheus.close()
        seen.overwritten = sum(
            one.overwritten for one in deployment.datadog.series() if one.type == "count"
        )

    def _truth(self, load: Load) -> Iterator[Total]:
        """What was done, by those who did it: the server, the tasks, the database, the people."""
        requests, self._seen.web = answered(self._requests)
        for (method, status), done in sorted(requests.items()):
            yield Total("http_requests_total", {"method": method, "status_code": status}, done)
        reports, self._seen.tasks = ended(self._reports)
        computed = forecasts(self._deployment)
        for queue, success, failure in (
            ("reports", reports["success"], reports["failure"]),
            ("forecasts", computed["finished"], computed["failed"]),
        ):
            for status, done in (("success", success), ("failure", failure)):
                labels = {"queue": queue, "status": status}
                yield Total("forecast_jobs_processed_total", labels, done)
        counts = load.counts
        for name, done in (
            ("user_logins_total", counts.logins.total()),
            ("scenarios_created_total", counts.scenarios.total()),
            ("tier_limit_hits_total", counts.limit_hits.total()),
            ("trust_layer_usage_total", counts.trust.total()),
            ("cache_hits_total", counts.cache["hit"]),
            ("cache_misses_total", counts.cache["miss"]),
            ("forecasts_generated_total", computed["finished"]),
            ("calculation_errors_total", counts.calculation_errors),
            ("tenant_isolation_violations_total", counts.violations),
        ):
            yield Total(name, {}, done)

    def _count_files(self) -> None:
        """Files of processes in the shared folder, beside the processes that there are."""
        state = self._deployment.folder / "state"
        self._seen.files = sum(1 for path in state.rglob("*") if path.is_file())
        servers = (self._deployment.gunicorn, self._deployment.worker)
        self._seen.alive = sum(
            1 + len(psutil.Process(one.pid).children(recursive=True)) for one in servers
        )


def _in_prometheus(server: Prometheus, total: Total, at: float | None = None) -> float:
    among = ", ".join(f'{name}="{value}"' for name, value in total.labels.items())
    return sum(one.value for one in server.query(f"sum({total.metric}{{{among}}})", at))


def _family(pid: int) -> list[psutil.Process]:
    """The process and all below it; nobody where it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _exporter(state: Path, known: psutil.Process | None) -> psutil.Process | None:
    if known is not None and known.is_running():
        return known
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any("otel_accubooks.export" in w for w in words) and any(str(state) in w for w in words):
            return process
    return None


def _memory(processes: Iterable[psutil.Process]) -> float:
    """Their resident bytes; what they share with each other counts once."""
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def _descriptors(processes: Iterable[psutil.Process]) -> float:
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.num_fds()
    return total


def _kib(path: Path) -> float:
    """What it takes; its length counts what was only reserved."""
    try:
        return path.stat().st_blocks / 2
    except FileNotFoundError:
        return 0


def told(seen: Seen) -> str:
    """The section of the page."""
    requests = sum(one.done for one in seen.totals if one.metric == "http_requests_total")
    done = {
        "requests": requests,
        "web processes, one after the other": seen.web,
        "Celery processes, one after the other": seen.tasks,
        "processes asked to end": seen.terminated,
        "gateway restarted with another backend file": seen.swaps,
        "exporters, one after the other": len(seen.exporters),
        "files in the shared folder at the end": seen.files,
        "processes of gunicorn and RQ then": seen.alive,
    }
    lines = [
        f"{seen.seconds / 60:.0f} minutes of load on {_WHAT}",
        "",
        "| what was done | how often |",
        "|---|--:|",
        *(f"| {name} | {number(value)} |" for name, value in done.items()),
        "",
        "| total | done | Prometheus | lost or twice | Datadog | while it was named | lost or twice |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *map(_row, seen.totals),
        "",
        _HOW,
        "",
        "| what must not grow | at first | highest | last | trend in an hour | |",
        "|---|--:|--:|--:|--:|---|",
        *(_kept(seen, name) for name in seen.kept),
    ]
    return "\n".join(lines)


def _row(one: Total) -> str:
    labels = ", ".join(one.labels.values())
    name = f"`{one.metric}`" + (f" ({labels})" if labels else "")
    named = one.done - one.missed
    figures = (one.done, one.prometheus, one.prometheus - one.done)
    datadog = (one.datadog, named, one.datadog - named)
    return f"| {name} | {' | '.join(map(number, (*figures, *datadog)))} |"


def _kept(seen: Seen, name: str) -> str:
    points = seen.kept[name]
    values = [value for _, value in points]
    say = size if "bytes" in name else number
    found = trend(points)
    slope = say(found.slope * 3600) if found else "too short"
    verdict = "grows" if seen.grows(name) else "flat"
    return f"| {name} | {say(values[0])} | {say(max(values))} | {say(values[-1])} | {slope} | {verdict} |"
