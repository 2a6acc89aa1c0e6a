"""How long from a condition that has become true until the first people are told of it."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.stack.backends import Backends
from otel_accubooks.stack.deployment import EXPORT_INTERVAL_MS
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.stack.receivers import Receivers

TITLE = "Freshness: from a condition that is true to the first notification"
SERVICE = Path(__file__).with_name("measured") / "alerting_service.py"
SERVICES = 10
# What the measured service sets off, none of it muted by another.
ALERTED = ("DataIntegrityIssue", "TierLimitHitsHigh", "ServerErrorBurst", "HighErrorRate")
INTERVAL = EXPORT_INTERVAL_MS / 1000
EVALUATION = 15.0
ALLOWED_SECONDS = INTERVAL + EVALUATION + 6
SPREAD_SECONDS = 45.0
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.1
_OF = {alert.name: alert for alert in ALERTS}
# When which alert of which service was first evaluated as one that fires.
_FIRING = 'timestamp(ALERTS{alertstate="firing"})'
_COUNTED = 'http_requests_total{status_code="500"} > 0'


def measure(work: Path) -> dict[str, Any]:
    """Seconds of each of SERVICES and ALERTED: told after its condition, and where they went."""
    with ExitStack() as running:
        receivers = running.enter_context(Receivers(work / "alertmanager"))
        backends = Backends(
            work,
            ["prometheus"],
            applications=[],
            alertmanagers=[one.address for one in receivers.alertmanagers],
        )
        running.enter_context(backends).start(lambda _: None)
        assert backends.prometheus is not None
        endpoint = f"http://127.0.0.1:{backends.ports.otlp_http}"
        services = {
            f"service-{i}": running.enter_context(_service(f"service-{i}", endpoint, work))
            for i in range(SERVICES)
        }
        began, seen, firing = _go_wrong(services, backends.prometheus)
        told = _told(receivers)
    return {
        "alerts": {
            name: [
                _stages(began[s], seen[s], firing[name, s], told[name, s], _OF[name].hold)
                for s in services
                if (name, s) in told
            ]
            for name in ALERTED
        },
        "services": SERVICES,
    }


def _stages(began: float, seen: float, firing: float, told: float, hold: float) -> dict[str, float]:
    return {
        "all": told - began,
        "seen": seen - began,
        "evaluated": firing - hold - seen,
        "held": hold,
        "told": told - firing,
    }


@contextmanager
def _service(name: str, endpoint: str, work: Path) -> Iterator[subprocess.Popen[str]]:
    """One service under the launcher, which has run for a moment."""
    env = {
        **os.environ,
        "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": str(EXPORT_INTERVAL_MS),
        "OTEL_ACCUBOOKS_STATE_DIR": str(work / "state"),
    }
    launcher = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    with (work / f"{name}.log").open("w") as log:
        argv = [launcher, sys.executable, str(SERVICE)]
        process = subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.communicate("\n")


Firsts = dict[str, float]


def _go_wrong(
    services: dict[str, subprocess.Popen[str]], prometheus: Prometheus
) -> tuple[Firsts, Firsts, dict[tuple[str, str], float]]:
    """When each service began to go wrong, was seen to, and had each alert firing."""
    time.sleep(2 * EVALUATION)  # Prometheus has evaluated all rules, and everybody has exported
    over = Event()
    holds = max(_OF[name].hold for name in ALERTED)
    print(f"notification: {holds + SPREAD_SECONDS + PATIENCE_SECONDS:.0f} s", file=sys.stderr)
    with ThreadPoolExecutor(SERVICES + 1) as threads:
        watched = threads.submit(_watch, prometheus, over)
        began: dict[str, Future[float]] = {
            name: threads.submit(_begin, service) for name, service in services.items()
        }
        moments = {name: future.result() for name, future in began.items()}
        time.sleep(max(moments.values()) + holds + ALLOWED_SECONDS + PATIENCE_SECONDS - time.time())
        over.set()
        return moments, *watched.result()


def _begin(service: subprocess.Popen[str]) -> float:
    assert service.stdin is not None
    assert service.stdout is not None
    time.sleep(random.Random(service.pid).uniform(0, SPREAD_SECONDS))
    service.stdin.write("\n")
    service.stdin.flush()
    return float(service.stdout.readline())


def _watch(prometheus: Prometheus, over: Event) -> tuple[Firsts, dict[tuple[str, str], float]]:
    seen: Firsts = {}
    firing: dict[tuple[str, str], float] = {}
    while not over.wait(POLL_SECONDS):
        for labels, _ in prometheus.query(_COUNTED):
            seen.setdefault(labels["job"], time.time())
        for labels, at in prometheus.query(_FIRING):
            firing.setdefault((labels["alertname"], labels.get("job", "")), at)
    return seen, firing


def _told(receivers: Receivers) -> dict[tuple[str, str], float]:
    """When Slack first had which alert of which service: it is told of all of them."""
    told: dict[tuple[str, str], float] = {}
    for message in receivers.slack.taken():
        for attachment in message.attachments:
            words = attachment.title.partition(":")[0].split()
            for name in ALERTED:
                if name in words:
                    told.setdefault((name, words[-1]), message.at)
    return told


def report(results: dict[str, Any], plots: Path) -> str:
    """A table: for each alert what was allowed and measured, and where the seconds went."""
    rows = [
        "| alert | hold time | at most | told after: median | most | above | event to Prometheus "
        "| to its evaluation | from firing to the channel |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, all_stages in results["alerts"].items():
        alert = _OF[name]
        allowed = alert.hold + ALLOWED_SECONDS
        took = [one["all"] for one in all_stages]
        stages = " | ".join(
            f"{statistics.median(s[stage] for s in all_stages):.1f}, at most "
            f"{max(s[stage] for s in all_stages):.1f} s"
            for stage in ("seen", "evaluated", "told")
        )
        late = f"{sum(one > allowed for one in took)} of {len(took)}"
        rows.append(
            f"| {alert.severity} {name} | {alert.hold:g} s | {allowed:g} s "
            f"| {statistics.median(took):.1f} s | {max(took):.1f} s | {late} | {stages} |"
        )
    return "\n".join(
        [
            f"Target: at most the hold time, the export interval ({INTERVAL:g} s), the time between two "
            f"evaluations ({EVALUATION:g} s) and 6 s. {results['services']} services under the launcher, "
            "with the rendered rules and Alertmanager's configuration as they are, begin to fail at random "
            "moments; told is what has arrived in Slack, which hears of all of these.",
            "",
            *rows,
        ]
    )
