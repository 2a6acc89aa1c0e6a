"""Meters that the application makes itself, by OpenTelemetry's own API, beside those of the contract."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter

import pytest
from conftest import Service, eventually

from otel_accubooks.export.spawn import exporter_runs
from otel_accubooks.recorder.folder import StateFolder

APP = """
import os

from flask import Flask
from opentelemetry import metrics

app = Flask(__name__)
meter = metrics.get_meter("mine")
orders = meter.create_counter("orders", unit="1", description="made at import")
sizes = meter.create_histogram("sizes")
open_orders = meter.create_up_down_counter("open_orders")
stock = meter.create_gauge("stock")
# A name of the contract, in meters of the application: another series, and none of ours.
requests = meter.create_counter("http_requests_total")

def pid(_):
    return [metrics.Observation(os.getpid())]

meter.create_observable_gauge("pid", [pid])
orders.add(1, {"where": "import"})

@app.get("/hello/<name>")
def hello(name):
    orders.add(1, {"where": "request"})
    sizes.record(7)
    open_orders.add(-1)
    stock.set(5)
    requests.add(100)
    metrics.get_meter("mine").create_counter("again").add(1)
    return str(os.getpid())
"""


def answered(service: Service, *options: str) -> Counter[str]:
    """Forty requests to two workers: how many each of them answered."""
    (service.folder / "app.py").write_text(APP)
    with service.gunicorn("-w", "2", *options):
        found = Counter(service.get(f"/hello/{n}").text for n in range(40))
        # A worker that was forked observes from its first request on.
        assert eventually(lambda: found.keys() <= observed(service))
    return found


def observed(service: Service) -> set[str]:
    return {str(int(series.value)) for series in service.sink.series("pid")}


@pytest.mark.parametrize("options", [[], ["--preload"]])
def test_every_worker_sends_its_own(service: Service, options: list[str]) -> None:
    """N calls are N over all workers, under ids of their own, also where a meter is inherited.

    They change nothing in ours, and ours nothing in them.
    """
    found = answered(service, *options)
    made = service.sink.series("orders", where="request")
    assert sorted(s.value for s in made) == sorted(found.values())
    # What was counted before the fork is sent by who counted it, and by nobody else.
    at_import = [s.value for s in service.sink.series("orders", where="import")]
    assert at_import == [1] * (1 if options else 2)
    assert service.sink.value("sizes") == service.sink.value("again") == 40
    assert service.sink.value("open_orders") == -40
    assert {s.value for s in service.sink.series("stock")} == {5}
    instances = {s.instance for s in made}
    assert len(instances) == len(found)
    # Under a name of the contract, too: each counts its own, and is told apart by its instance.
    ours = service.sink.series("http_requests_total", route="/hello/<name>")
    theirs = [s for s in service.sink.series("http_requests_total") if not s.attributes]
    assert [s.value for s in ours] == [40]
    assert sum(s.value for s in theirs) == 4000
    assert {s.instance for s in theirs} == instances
    assert instances.isdisjoint(s.instance for s in ours)


def test_a_provider_of_the_applications_own_is_left_alone(service: Service) -> None:
    """Who sets up OpenTelemetry's SDK by hand gets what was set up."""
    (service.folder / "app.py").write_text(
        "from flask import Flask\n"
        "from opentelemetry import metrics\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "reader = InMemoryMetricReader()\n"
        "metrics.set_meter_provider(MeterProvider([reader]))\n"
        "app = Flask(__name__)\n"
        "@app.get('/hello/<name>')\n"
        "def hello(name):\n"
        "    metrics.get_meter('mine').create_counter('orders').add(1)\n"
        "    return 'orders' if 'orders' in reader.get_metrics_data().to_json() else 'none'\n"
    )
    service.env["OTEL_TRACES_EXPORTER"] = "otlp"
    with service.gunicorn("-w", "1"):
        assert service.get("/hello/x").text == "orders"
    assert service.requests(route="/hello/<name>") == 1
    assert service.sink.series("orders") == []


@pytest.mark.parametrize("exporter", ["prometheus", "telepathy"])
def test_where_they_cannot_be_sent_the_application_goes_on(service: Service, exporter: str) -> None:
    """What is wrong is said once for all workers, and nothing is raised in a request."""
    service.env["OTEL_METRICS_EXPORTER"] = exporter
    service.env["OTEL_EXPORTER_PROMETHEUS_PORT"] = "0"
    (service.folder / "app.py").write_text(APP)
    with service.gunicorn("-w", "2"):
        assert all(service.get(f"/hello/{n}").status_code == 200 for n in range(10))
    said = [line for line in service.log().splitlines() if "application's own metrics" in line]
    assert len(said) == 1
    if exporter == "telepathy":  # counts that nobody takes are kept for the next start
        (folder,) = service.state.iterdir()
        assert eventually(lambda: not exporter_runs(StateFolder(folder)))
        shutil.rmtree(folder)


def test_what_a_job_measures_arrives(service: Service) -> None:
    """A child of multiprocessing, which ends without the usual clean-up, sends what it measured."""
    (service.folder / "script.py").write_text(
        "import multiprocessing\n"
        "from opentelemetry import metrics\n"
        "counter = metrics.get_meter('mine').create_counter('jobs')\n"
        "def job(): counter.add(1)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('fork')\n"
        "    counter.add(1)\n"
        "    for child in [context.Process(target=job) for _ in range(3)]:\n"
        "        child.start(); child.join()\n"
    )
    argv = ["opentelemetry-instrument", "python", "script.py"]
    subprocess.run(argv, env=service.env, cwd=service.folder, check=True, timeout=60)
    assert service.sink.value("jobs") == 4
    assert len({series.instance for series in service.sink.series("jobs")}) == 4
