"""Points per CPU second of the gateway, for each backend file, beside one without our processors."""

from __future__ import annotations

import os
import random
import re
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from otel_accubooks.stack.binaries import find_collector
from otel_accubooks.stack.collector import GatewayPorts, arguments
from otel_accubooks.stack.files import GATEWAY, backend_file, backend_names
from otel_accubooks.stack.ports import http_ok, tcp_open
from otel_accubooks.stack.process import Server
from tests.benchmarks.gateway_load import POINTS, Fleet, send
from tests.benchmarks.gateway_report import CONVERTED, report
from tests.benchmarks.gateway_sinks import Sink

__all__ = ["TITLE", "measure", "report"]
TITLE = "The gateway"
HOSTS = 50
GROWTH = 2  # so many times the hosts, to see what memory grows by
ROUNDS = 8
# Points that exporters have sent, or lost; with or without _total, as the version has it.
_SENT = "otelcol_exporter_sent_metric_points"
_LOST = (
    "otelcol_receiver_refused_metric_points",
    "otelcol_receiver_failed_metric_points",
    "otelcol_processor_refused_metric_points",
    "otelcol_exporter_send_failed_metric_points",
    "otelcol_exporter_enqueue_failed_metric_points",
    "otelcol_cumulativetodelta_datapoints_dropped",
)
_TICKS = os.sysconf("SC_CLK_TCK")


class Gateway(Server):
    """A collector on one core's worth of threads, with these files, into `sink`."""

    def __init__(self, folder: Path, binary: Path, configs: list[Path], sink: Sink) -> None:
        self.ports = GatewayPorts()
        super().__init__(
            f"gateway {folder.name}",
            [str(binary), *arguments(configs)],
            log=folder / "collector.log",
            env={
                **os.environ,
                **self.ports.environment(),
                **_settings(sink),
                "GATEWAY_STORAGE": str(folder / "storage"),
                "GATEWAY_MEMORY_MIB": "2048",
                "GOMAXPROCS": "1",
            },
            ready=lambda: (
                http_ok(f"http://{self.ports.environment()['GATEWAY_HEALTH']}/")
                and tcp_open(self.ports.otlp_http)
            ),
        )

    def cpu(self) -> float:
        """Seconds of CPU that it has used, in the kernel too."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak(self) -> float:
        """MiB of memory that it had at most."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0

    def own(self, *names: str) -> float:
        """The sum of these of its own metrics."""
        url = f"http://127.0.0.1:{self.ports.metrics}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = answer.read().decode()
        pattern = rf"^(?:{'|'.join(names)})(?:_total|__datapoint__total)?(?:{{.*?}})? (\S+)$"
        return sum(float(value) for value in re.findall(pattern, page, re.MULTILINE))

    def interval(self, fleet: list[bytes], points: int) -> float:
        """CPU seconds for one push of the whole fleet, until all of it has left again."""
        before, sent = self.cpu(), self.own(_SENT)
        send(self.ports.otlp_http, fleet)
        deadline = time.monotonic() + 300
        while self.own(_SENT) < sent + points:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.name}: {self.own(_SENT) - sent:.0f} of {points} points have left, "
                    f"{self.own(*_LOST):.0f} are lost:\n{self.log_tail()}"
                )
            time.sleep(0.1)
        if tcp_open(self.ports.prometheus_scrape):  # what Prometheus asks for in an interval, once
            url = f"http://127.0.0.1:{self.ports.prometheus_scrape}/metrics"
            urllib.request.urlopen(url, timeout=120).read()
        return self.cpu() - before


def measure(work: Path) -> dict[str, Any]:
    """CPU, memory and lost points for each backend file: ours, plain, and plain once more."""
    binary = find_collector()
    rows = [(name, delta) for name in backend_names() for delta in (False, True)]
    results = [
        {"backend": name, "delta": delta, **measure_backend(name, delta, work, binary)}
        for name, delta in rows
        if name in CONVERTED or not delta
    ]
    return {
        "rows": results,
        "hosts": HOSTS,
        "growth": GROWTH,
        "points": POINTS,
        "rounds": ROUNDS,
    }


def measure_backend(name: str, delta: bool, work: Path, binary: Path) -> dict[str, Any]:
    """One row: what `compare` says of our file for this backend and of the plain ones."""
    print(f"gateway: {name}{', sent deltas' * delta}", file=sys.stderr, flush=True)
    folder = work / f"{name}-{delta}"
    folder.mkdir()
    plain = plain_file(name, folder)
    kinds = {"ours": [GATEWAY, backend_file(name)], "plain": [plain], "again": [plain]}
    if name in CONVERTED and not delta:
        kinds["converting"] = [plain_file(name, folder, converting=True)]
    return compare(folder, binary, kinds, delta=delta)


def compare(
    folder: Path, binary: Path, kinds: Mapping[str, list[Path]], *, delta: bool
) -> dict[str, Any]:
    """Sends the same to gateways of each kind, by turns.

    Returns for each kind the CPU seconds of each round, the points that were lost, and MiB of
    memory: `idle`, before anything came; `peak`; and `grown`, the peak with `GROWTH` times the hosts.
    """
    cpu: dict[str, list[float]] = {kind: [] for kind in kinds}
    shuffled = random.Random(1)
    with ExitStack() as running:
        sink = running.enter_context(Sink())
        gateways = {
            kind: running.enter_context(Gateway(folder / kind, binary, configs, sink))
            for kind, configs in kinds.items()
        }
        memory = {kind: {"idle": gateway.peak()} for kind, gateway in gateways.items()}
        fleet = Fleet(HOSTS, delta=delta)
        for number in range(ROUNDS + 1):
            requests = fleet.interval()
            # Nobody is always the first, or always after the same one, whose files are still written.
            for kind in shuffled.sample(list(kinds), len(kinds)):
                used = gateways[kind].interval(requests, fleet.points)
                if number:  # the first of all is for the caches
                    cpu[kind].append(used)
        for kind, gateway in gateways.items():
            memory[kind]["peak"] = gateway.peak()
        fleet.hosts *= GROWTH
        for _ in range(2):
            gateways["ours"].interval(fleet.interval(), fleet.points)
        memory["ours"]["grown"] = gateways["ours"].peak()
        return {
            kind: {"cpu": cpu[kind], "lost": gateway.own(*_LOST), **memory[kind]}
            for kind, gateway in gateways.items()
        }


def plain_file(name: str, folder: Path, *, converting: bool = False) -> Path:
    """The same receiver, exporter, queue and batches as with that backend file, and nothing else.

    With `converting`, also the conversion to deltas that this backend file has.
    """
    gateway = yaml.safe_load(GATEWAY.read_text())
    backend = yaml.safe_load(backend_file(name).read_text())
    processors = backend["processors"] if converting else {}
    pipeline = {
        "receivers": ["otlp"],
        "processors": list(processors),
        "exporters": list(backend["exporters"]),
    }
    config = {
        "receivers": {"otlp": gateway["receivers"]["otlp"]},
        "processors": processors,
        "exporters": backend["exporters"],
        "extensions": gateway["extensions"],
        "service": {
            "extensions": gateway["service"]["extensions"],
            "telemetry": gateway["service"]["telemetry"],
            "pipelines": {"metrics": pipeline},
        },
    }
    path = folder / f"plain{'-converting' * converting}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _settings(sink: Sink) -> dict[str, str]:
    """What the backend files read, all into the sink."""
    return {
        "PROMETHEUS_URL": sink.url,
        "PROMETHEUS_REMOTE_WRITE_URL": f"{sink.url}/api/v1/write",
        "PROMETHEUS_STANDBY_URL": sink.url,
        "DD_URL": sink.url,
        "DD_TRACES_URL": sink.url,
        "DD_API_KEY": "0" * 32,
        "DD_HOSTNAME": "gateway",
        "NEW_RELIC_OTLP_ENDPOINT": sink.url,
        "NEW_RELIC_LICENSE_KEY": "licence",
        "OTLP_BACKEND_ENDPOINT": sink.url,
        "OTLP_BACKEND_HEADERS": '{"x-api-key": "key"}',
    }
