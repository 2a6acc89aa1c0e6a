"""How long from an event until Prometheus and Datadog show it, in the deployment of the demo."""

from __future__ import annotations

import bisect
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otel_accubooks.stack.binaries import find_prometheus, find_prometheus3
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.deployment import EXPORT_INTERVAL_MS, Deployment
from otel_accubooks.stack.prometheus import Prometheus
from tests.benchmarks import plots as draw

TITLE = "Freshness: from an event until a backend shows it"
TARGET_SECONDS = EXPORT_INTERVAL_MS / 1000 + 1
SECONDS = 90.0
POLL_SECONDS = 0.02
SETTLING_SECONDS = 8.0
# Each kind of event: the counter that tells of it, and the longest pause between two, in seconds.
KINDS = {
    "request": ("http_requests_total", 0.6),
    "business event": ("user_logins_total", 2.0),
    "job": ("forecast_jobs_processed_total", 2.0),
}
# What else answers to these names is left out: a login is a request, too.
_QUERY = (
    f'sum by (__name__) ({{__name__=~"{"|".join(m for m, _ in KINDS.values())}", route=~"/|"}})'
)

Read = Callable[[], Mapping[str, float]]


def measure(work: Path) -> dict[str, Any]:
    """Seconds from each of a few hundred events until they are seen, by way and kind of event."""
    found: dict[str, Any] = {"target": TARGET_SECONDS, "polled_every": POLL_SECONDS, "ways": {}}
    for name, binary in (("installed", find_prometheus()), ("3", find_prometheus3())):
        way = _way(binary)
        if way in found["ways"]:
            continue  # the one that is installed is a Prometheus 3
        print(f"freshness: {way}, and Datadog, {SECONDS:.0f} s", file=sys.stderr)
        with _environment("PROMETHEUS", str(binary)):
            deployment = Deployment(work / name, ["prometheus", "datadog"], threads=8)
            (work / name).mkdir(parents=True)
            with deployment.start(lambda _: None):
                seen = _seen_in(deployment)
        found["ways"][way] = seen["prometheus"]
        found["ways"][f"Datadog's intake (beside {way})"] = seen["datadog"]
    return found


def _way(binary: Path) -> str:
    from otel_accubooks.stack.prometheus import takes_otlp

    return "Prometheus 3, OTLP" if takes_otlp(binary) else "Prometheus 2, remote write"


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _seen_in(deployment: Deployment) -> dict[str, dict[str, list[float]]]:
    """By backend and kind of event the seconds of each event, most of SECONDS long."""
    assert deployment.prometheus is not None
    assert deployment.datadog is not None
    backends: dict[str, Read] = {
        "prometheus": _in_prometheus(deployment.prometheus),
        "datadog": _in_datadog(deployment.datadog),
    }
    deeds = _deeds(deployment)
    for deed in deeds.values():
        deed()  # so that there is something to count from
    time.sleep(SETTLING_SECONDS)
    over = threading.Event()
    with ThreadPoolExecutor() as threads:
        watched = {n: threads.submit(_watch, read, over) for n, read in backends.items()}
        time.sleep(1)
        done = {kind: threads.submit(_do, deed, KINDS[kind][1]) for kind, deed in deeds.items()}
        events = {kind: future.result() for kind, future in done.items()}
        time.sleep(SETTLING_SECONDS)
        over.set()
        return {
            name: {
                kind: delays(happened, future.result()[KINDS[kind][0]])
                for kind, happened in events.items()
            }
            for name, future in watched.items()
        }


def delays(happened: Sequence[float], seen: Sequence[tuple[float, float]]) -> list[float]:
    """For each event the time until the count that it is part of was seen.

    `seen` has when which count was first seen, the first of them before all events. Both grow.
    Raises ValueError if fewer were seen than happened.
    """
    counts = [count - seen[0][1] for _, count in seen]
    if counts[-1] != len(happened):
        raise ValueError(f"{len(happened)} events happened, and {counts[-1]:g} were seen")
    return [
        seen[bisect.bisect_left(counts, number)][0] - at
        for number, at in enumerate(sorted(happened), 1)
    ]


def _do(deed: Callable[[], float], pause: float) -> list[float]:
    """Does it again and again, at random moments; the moments at which it happened."""
    chance = random.Random(str(pause))
    give_up = time.monotonic() + SECONDS
    happened = []
    while time.monotonic() < give_up:
        time.sleep(chance.uniform(0.05, pause))
        happened.append(deed())
    return happened


def _watch(read: Read, over: threading.Event) -> dict[str, list[tuple[float, float]]]:
    seen: dict[str, list[tuple[float, float]]] = {metric: [] for metric, _ in KINDS.values()}
    while not over.wait(POLL_SECONDS):
        counts = read()
        now = time.time()
        for metric, changes in seen.items():
            count = counts.get(metric, 0.0)
            if not changes or changes[-1][1] != count:
                changes.append((now, count))
    return seen


def _in_prometheus(prometheus: Prometheus) -> Read:
    import httpx

    client = httpx.Client(base_url=prometheus.url, trust_env=False, timeout=30)

    def read() -> dict[str, float]:
        answer = client.post("/api/v1/query", data={"query": _QUERY}).raise_for_status().json()
        return {r["metric"]["__name__"]: float(r["value"][1]) for r in answer["data"]["result"]}

    return read


def _in_datadog(intake: DatadogIntake) -> Read:
    def read() -> dict[str, float]:
        return {
            metric: intake.value(metric, **({"route": "/"} if kind == "request" else {}))
            for kind, (metric, _) in KINDS.items()
        }

    return read


def _deeds(deployment: Deployment) -> dict[str, Callable[[], float]]:
    """What makes one event of each kind, and says when: once it is answered, a job once it has ended."""
    import httpx
    from redis import Redis
    from rq import Queue

    queue = Queue("forecasts", connection=Redis.from_url(deployment.redis.url))
    person = {"email": "pro@birch.example", "password": "correct horse"}

    def request() -> float:
        httpx.get(deployment.url, trust_env=False, timeout=30).raise_for_status()
        return time.time()

    def login() -> float:
        url = f"{deployment.url}/login"
        httpx.post(url, json=person, trust_env=False, timeout=30).raise_for_status()
        return time.time()

    def job() -> float:
        asked = queue.enqueue("time.sleep", 0)
        while not asked.is_finished:
            time.sleep(POLL_SECONDS)
        asked.refresh()
        return float(asked.ended_at.timestamp())

    return {"request": request, "business event": login, "job": job}


def report(results: dict[str, Any], plots: Path) -> str:
    """A table: least, median, p99 and most of each way and kind, and how many are above the target."""
    target = results["target"]
    rows = [
        "| seen in | event | events | least | median | p99 | most | above the target |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, kinds in results["ways"].items():
        for kind, took in kinds.items():
            share = 100 * sum(one > target for one in took) / len(took)
            p99 = statistics.quantiles(took, n=100)[98]
            times = (min(took), statistics.median(took), p99, max(took))
            cells = " | ".join(f"{one:.2f} s" for one in times)
            rows.append(f"| {way} | {kind} | {len(took)} | {cells} | {share:.1f} % |")
    return "\n".join(
        [
            f"Target: at most the export interval and 1 s, so {target:g} s in the deployment of the demo "
            f"(interval {EXPORT_INTERVAL_MS / 1000:g} s). Events at random moments on the web and in the "
            "worker, from the answer to the request (of a job, from its end) until a query has it; "
            f"asked every {1000 * results['polled_every']:.0f} ms, which is in the figures.",
            "",
            *rows,
            "",
            _plot(results, plots),
        ]
    )


def _plot(results: dict[str, Any], plots: Path) -> str:
    with draw.plot(plots / "freshness.svg") as axes:
        for way, kinds in results["ways"].items():
            took = sorted(one for delays_of_kind in kinds.values() for one in delays_of_kind)
            axes.step(took, [100 * (i + 1) / len(took) for i in range(len(took))], label=way)
        axes.axvline(results["target"], color="black", linestyle=":", label="target")
        labels = {"xlabel": "seconds after the event", "ylabel": "% of the events seen"}
        axes.set(**labels, xlim=0, ylim=(0, 100))
        axes.legend(fontsize="small")
    return "![Events seen, by time](performance/freshness.svg)"
