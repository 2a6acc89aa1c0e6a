"""One way to export or to be scraped: for each line read it does so once, and tells milliseconds of CPU.

Arguments: the way, what to do (otlp or scrape), the kind and number of series, how many processes
record them, and an empty folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BOUNDS = (5, 10, 25, 50, 100, 250, 500, 1000)
NAMES = ("method", "route", "status_code")
Touch = Callable[[], None]  # changes every series, or those that it is to
Do = Callable[[], object]


def labels(number: int) -> list[tuple[str, str, str]]:
    """Label values of so many series."""
    methods, statuses = ("GET", "POST"), ("200", "404", "500")
    return [
        (methods[i % 2], f"/api/v1/resource{i}/<int:id>", statuses[i % 3]) for i in range(number)
    ]


@contextlib.contextmanager
def processes(number: int, recording: Callable[[int], Touch]) -> Iterator[Touch]:
    """So many of them, each of which makes series by `recording`; gives what touches them all."""
    made = []
    for index in range(number):
        (told, tell), (heard, hear) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            touch = recording(index)
            while os.read(told, 1):
                touch()
                os.write(hear, b".")
            os._exit(0)
        made.append((pid, tell, heard))

    def touch_all() -> None:
        for _, tell, _ in made:
            os.write(tell, b".")
        for _, _, heard in made:
            os.read(heard, 1)

    try:
        yield touch_all
    finally:
        for pid, _, _ in made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@contextlib.contextmanager
def ours(do: str, kind: str, series: int, workers: int, folder: Path, part: int = 1) -> Any:
    from opentelemetry.sdk.resources import Resource

    from otel_accubooks.contract import metrics as m
    from otel_accubooks.export.collection import Collection
    from otel_accubooks.export.encoding import Encoder
    from otel_accubooks.export.shared import Shared
    from otel_accubooks.monitoring.exposition import prometheus_text
    from otel_accubooks.recorder import fork
    from otel_accubooks.recorder.folder import StateFolder
    from otel_accubooks.recorder.recorder import Recorder
    from otel_accubooks.recorder.service import ServiceReader

    state = StateFolder(folder / "service")
    state.make()

    def recording(_: int) -> Touch:
        fork.generation[0] = 0
        recorder = Recorder(state, 100_000)
        changes: list[tuple[Callable[[float], None], float]] = []
        for number, values in enumerate(labels(series)):
            if kind == "counter":
                add = recorder.counter(m.HTTP_REQUESTS_TOTAL).labels(*values).add
                changes.append((add, 1.0))
            else:
                record = recorder.histogram(m.HTTP_REQUEST_DURATION_MS).labels(*values).record
                changes.append((record, number % 100 * 9.0))
        for change, value in changes:
            change(value)

        def touch() -> None:
            for change, value in changes[::part]:
                change(value)

        return touch

    with processes(workers, recording) as touch:
        touch()
        collection = Collection(ServiceReader(state), Shared(state.path / "shared"))
        encoder = Encoder(Resource({"service.name": "measured"}))
        if do == "otlp":
            yield (
                touch,
                lambda: encoder.request(collection.collect(), time.time()).SerializeToString(),
            )
        else:
            yield touch, lambda: prometheus_text(collection.collect()).encode()


def collected(memory: Any) -> Any:
    return memory.get_metrics_data()


@contextlib.contextmanager
def sdk(do: str, kind: str, series: int, _: int, __: Path, reader: Any = None) -> Any:
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    memory = InMemoryMetricReader()
    provider = MeterProvider([reader or memory], exemplar_filter=AlwaysOffExemplarFilter())
    meter = provider.get_meter("measured")
    attributes = [dict(zip(NAMES, values, strict=True)) for values in labels(series)]
    counter = meter.create_counter("requests")
    histogram = meter.create_histogram("duration", explicit_bucket_boundaries_advisory=BOUNDS)

    def touch() -> None:
        for number, given in enumerate(attributes):
            if kind == "counter":
                counter.add(1, given)
            else:
                histogram.record(number % 100 * 9.0, given)

    touch()
    if do == "otlp":
        yield touch, lambda: encode_metrics(collected(memory)).SerializeToString()
    else:
        from prometheus_client import REGISTRY, generate_latest

        yield touch, lambda: generate_latest(REGISTRY)


def reader(do: str, kind: str, series: int, workers: int, folder: Path) -> Any:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader

    return sdk(do, kind, series, workers, folder, PrometheusMetricReader())


@contextlib.contextmanager
def multiprocess(_: str, kind: str, series: int, workers: int, __: Path) -> Any:
    from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    def recording(_: int) -> Touch:
        counter = Counter("requests", "Requests", NAMES)
        histogram = Histogram("duration", "Time", NAMES, buckets=BOUNDS)

        def touch() -> None:
            for number, values in enumerate(labels(series)):
                if kind == "counter":
                    counter.labels(*values).inc()
                else:
                    histogram.labels(*values).observe(number % 100 * 9.0)

        return touch

    def scrape() -> bytes:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    with processes(workers, recording) as touch:
        touch()
        yield touch, scrape


def tenth(do: str, kind: str, series: int, workers: int, folder: Path) -> Any:
    return ours(do, kind, series, workers, folder, 10)


WAYS: dict[str, Callable[..., Any]] = {
    "ours": ours,
    "tenth": tenth,
    "sdk": sdk,
    "reader": reader,
    "multiprocess": multiprocess,
}


def main(way: str, do: str, kind: str, series: str, workers: str, folder: str) -> None:
    with WAYS[way](do, kind, int(series), int(workers), Path(folder)) as (touch, work):
        for _ in sys.stdin:
            touch()
            begun = time.process_time()
            work()
            print((time.process_time() - begun) * 1e3, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
