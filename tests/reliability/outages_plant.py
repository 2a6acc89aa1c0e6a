"""An application under load and all that carries its numbers, on real servers."""

from __future__ import annotations

import math
import re
import threading
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from otel_accubooks.stack.binaries import find_collector, find_prometheus3
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.ports import LOOPBACK, free_port
from otel_accubooks.stack.process import Server
from otel_accubooks.stack.prometheus import Prometheus
from tests.reliability.service import environment, exporters, gunicorn
from tests.reliability.wire import Wire

ROUTE = "/work/<name>"
REQUESTS = f'http_requests_total{{route="{ROUTE}"}}'
DURATIONS = f'http_request_duration_ms_count{{route="{ROUTE}"}}'
INTERVAL_SECONDS = 1.0
ARRIVAL_SECONDS = 150.0
RETRY_SECONDS = 20.0  # the gateway waits up to 15 s
# What the gateway says it could not keep, or could not take.
COUNTED = re.compile(
    r"^(otelcol_(?:exporter_send_failed|exporter_enqueue_failed|receiver_refused|receiver_failed)"
    r"_metric_points(?:_total)?)(\{.*\}) ([0-9.e+]+)$"
)
SMALL_QUEUE = """
exporters:
  datadog: {sending_queue: {queue_size: 8_000, batch: {min_size: 1_000, max_size: 4_000}}}
"""
APP = """
import os
from flask import Flask

app = Flask(__name__)
begun = os.open("begun", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@app.get("/work/<name>")
def work(name):
    os.write(begun, b".")
    return "done"
"""


class Load:
    """Requests, all the time, from people who do not care what is broken. `answered`: when, of each."""

    def __init__(self, url: str, people: int = 2, pause: float = 0.05) -> None:
        self.answered: list[float] = []
        self._url = url
        self._pause = pause
        self._over = False
        self._goes = threading.Event()
        self._idle = threading.Semaphore(0)
        self._people = [threading.Thread(target=self._work, daemon=True) for _ in range(people)]
        for person in self._people:
            person.start()

    def go_on(self) -> None:
        self._goes.set()

    def rest(self) -> None:
        """Returns once nobody waits for an answer."""
        self._goes.clear()
        for _ in self._people:
            self._idle.acquire()

    def end(self) -> None:
        self._over = True
        self._goes.set()
        for person in self._people:
            person.join()

    def _work(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._over:
                if not self._goes.is_set():
                    self._idle.release()
                    self._goes.wait()
                try:
                    if client.get(f"{self._url}/work/x").is_success:
                        self.answered.append(time.monotonic())
                except httpx.HTTPError:
                    pass  # its worker was killed
                time.sleep(self._pause)


@dataclass(frozen=True)
class Totals:
    """What was done and what has arrived. `begun` and `answered` differ by what a kill interrupted."""

    answered: int
    begun: int
    counted: float
    prometheus: float
    datadog: float
    durations_prometheus: float
    durations_datadog: float


class Plant:
    """Workers of gunicorn under the launcher, gateway, Prometheus 3 and Datadog, and wires between.

    As a context manager everything runs, and people are at work. `storage` and `state` are folders for
    what the gateway has not yet sent, and for the shared counts. With "prometheus-standby" among the
    backends there is a Prometheus 2 as well, `standby`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        backends: Sequence[str] = ("prometheus", "datadog"),
        delta: bool = False,
        storage: Path | None = None,
        state: Path | None = None,
        small_queue: bool = False,
    ) -> None:
        self.folder = folder
        self.state = state or folder / "state"
        self.prometheus = Prometheus(folder / "prometheus", find_prometheus3())
        self.standby = Prometheus(folder / "standby", Path("/usr/bin/prometheus"))
        self.datadog = DatadogIntake()
        self.to_prometheus = Wire(self.prometheus.port)
        env = {
            "PROMETHEUS_URL": f"http://{LOOPBACK}:{self.to_prometheus.port}",
            "PROMETHEUS_STANDBY_URL": self.standby.url,
            "DD_API_KEY": "0" * 32,
            "DD_HOSTNAME": "gateway-host",
            **({"GATEWAY_STORAGE": str(storage)} if storage else {}),
        }
        self._gateway_env, self._small_queue = env, small_queue
        self._backends = backends
        self._delta = delta
        self.shared = True  # while the application's own page has the counts of all its workers
        self._running = ExitStack()
        # Gateways that were ended, and exporters that came after one that was killed: when.
        self._killed: list[float] = []
        self._looked_first: list[float] = []

    def __enter__(self) -> Plant:
        with ExitStack() as stack:
            stack.enter_context(self.prometheus)
            if "prometheus-standby" in self._backends:
                stack.enter_context(self.standby)
            stack.enter_context(self.datadog)
            stack.enter_context(self.to_prometheus)
            self.gateway = stack.enter_context(self._gateway())
            self.to_gateway = stack.enter_context(Wire(self.gateway.ports.otlp_http))
            self.app = self._application()
            stack.callback(self._end_application)
            self.app.start()
            self.load = Load(self.url)
            stack.callback(self.load.end)
            self.load.go_on()
            self._running = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    def _gateway(self) -> Collector:
        env = {**self._gateway_env, "DD_URL": self.datadog.url}
        backends = list(self._backends)
        gateway = Collector(self.folder / "gateway", find_collector(), backends, env=env)
        if self._small_queue:
            path = self.folder / "small-queue.yaml"
            path.write_text(SMALL_QUEUE)
            gateway.argv += ["--config", str(path)]
        return gateway

    def _application(self) -> Server:
        (self.folder / "app.py").write_text(APP)
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        env = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{LOOPBACK}:{self.to_gateway.port}",
            OTEL_SERVICE_NAME="tested",
            OTEL_METRIC_EXPORT_INTERVAL=str(round(INTERVAL_SECONDS * 1000)),
            OTEL_ACCUBOOKS_STATE_DIR=str(self.state),
            **(
                {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
                if self._delta
                else {}
            ),
        )
        return gunicorn(self.folder, port, env, workers=3)

    def _end_application(self) -> None:
        self.app.stop()
        psutil.wait_procs(self.exporters(), 60)

    # What can be broken --------------------------------------------------------------------------

    def exporters(self) -> list[psutil.Process]:
        return exporters(self.state)

    def kill_workers(self) -> None:
        """All of them at once; gunicorn starts others."""
        for process in psutil.Process(self.app.pid).children() if self.app.running else ():
            process.kill()

    def start_application(self) -> None:
        """Its exporter looks for the first time soon afterwards."""
        self.app.start()
        self._looked_first.append(time.monotonic())

    def kill_exporter(self) -> None:
        self._looked_first.append(time.monotonic())
        killed = self.exporters()
        for process in killed:
            process.kill()
        psutil.wait_procs(killed, 30)

    def kill_gateway(self) -> None:
        """At once; from then on nobody listens where it did."""
        self._killed.append(time.monotonic())
        self.gateway.kill()
        self.to_gateway.cut()

    def stop_gateway(self) -> None:
        """As for an upgrade."""
        self._killed.append(time.monotonic())
        self.gateway.stop()
        self.to_gateway.cut()

    def start_gateway(self) -> None:
        self.gateway.start()
        self.to_gateway.mend()

    # What was seen -------------------------------------------------------------------------------

    def page(self) -> float:
        """What the application itself has counted, added up over its workers, dead and alive."""
        try:
            text = httpx.get(f"{self.url}/api/monitoring/metrics", trust_env=False, timeout=30).text
        except httpx.HTTPError:
            return math.nan
        rows = [line for line in text.splitlines() if line.startswith("http_requests_total{")]
        return sum(float(row.rpartition(" ")[2]) for row in rows if f'route="{ROUTE}"' in row)

    def _in(self, server: Prometheus, selector: str) -> float:
        found = server.query(f"sum(last_over_time({selector}[6h]))")
        return sum(value for _, value in found)

    def in_standby(self) -> float:
        """The requests that Prometheus 2 has."""
        return self._in(self.standby, REQUESTS)

    def totals(self) -> Totals:
        return Totals(
            answered=len(self.load.answered),
            begun=(self.folder / "begun").stat().st_size,
            counted=self.page() if self.shared else len(self.load.answered),
            prometheus=self._in(self.prometheus, REQUESTS),
            datadog=self.datadog.value("http_requests_total", route=ROUTE),
            durations_prometheus=self._in(self.prometheus, DURATIONS),
            durations_datadog=self.datadog.count_of("http_request_duration_ms", route=ROUTE),
        )

    def settled(self, lost_before: float) -> Totals:
        """The totals once people rest and all has arrived, or does not any more.

        What Datadog lacks is waited for as long as the gateway may wait before it tries again.
        """
        self.load.rest()
        give_up = time.monotonic() + ARRIVAL_SECONDS
        found, since = self.totals(), time.monotonic()
        while time.monotonic() < give_up:
            before, found = found, self.totals()
            if found.datadog != before.datadog:
                since = time.monotonic()
            arrived = "prometheus" not in self._backends or found.prometheus == found.counted
            if "datadog" in self._backends and found.counted - found.datadog != lost_before:
                arrived &= time.monotonic() > since + RETRY_SECONDS
            if arrived:
                break
            time.sleep(0.5)
        return found

    def resets(self) -> float:
        """How often a total ran backwards in Prometheus, of either version."""
        both = f"sum(resets({REQUESTS}[6h])) + sum(resets({DURATIONS}[6h]))"
        servers = [self.prometheus, *([self.standby] if self.standby.running else [])]
        return sum(value for server in servers for _, value in server.query(both))

    def overwritten(self) -> int:
        """Points that Datadog would have lost, since it keeps one for each second."""
        return sum(series.overwritten for series in self.datadog.series("http_requests_total"))

    def longest_gap(self, since: float, server: Prometheus | None = None) -> float:
        """Seconds between two stored points of the total, since then (Unix seconds): the most."""
        asked = {"query": f"{REQUESTS}[{round(time.time() - since)}s]"}
        url = f"{(server or self.prometheus).url}/api/v1/query"
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer: Any = client.get(url, params=asked).json()
        times = sorted(at for row in answer["data"]["result"] for at, _ in row["values"])
        return max((b - a for a, b in pairwise(times)), default=math.inf)

    def may_be_lost(self, since: float) -> int:
        """For each kill since then, what is done in an interval: at most, and while an exporter starts."""
        kills = sum(at >= since for at in self._killed)
        starts = sum(at >= since for at in self._looked_first)
        return kills * self._most_in(3 * INTERVAL_SECONDS) + starts * self._most_in(
            6 * INTERVAL_SECONDS
        )

    def _most_in(self, seconds: float) -> int:
        times = self.load.answered
        return max((bisect_right(times, at + seconds) - i for i, at in enumerate(times)), default=0)

    def counted_by_gateway(self) -> Mapping[str, float]:
        """What the gateway says that it lost or refused, by metric and exporter; nothing if it is away."""
        url = f"http://{LOOPBACK}:{self.gateway.ports.metrics}/metrics"
        try:
            lines = httpx.get(url, trust_env=False).text.splitlines()
        except httpx.HTTPError:
            return {}
        found: dict[str, float] = {}
        for line in lines:
            if (match := COUNTED.match(line)) and float(match[3]):
                exporter = re.search(r'exporter="([^"]+)"', match[2])
                name = match[1].removesuffix("_total") + (f" {exporter[1]}" if exporter else "")
                found[name] = found.get(name, 0) + float(match[3])
        return found

    def log(self) -> str:
        return (self.folder / "server.log").read_text()
