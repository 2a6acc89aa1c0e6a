"""Other ways out: spans beside the metrics, and Prometheus without a collector."""

from __future__ import annotations

import re

import httpx
from conftest import Service, eventually

from otel_accubooks.stack.ports import free_port


def test_spans_come_once_traces_are_asked_for(service: Service) -> None:
    """Upstream's instrumentor makes spans; the contract's metrics stay the same, none is added."""
    service.env["OTEL_TRACES_EXPORTER"] = "console"
    with service.gunicorn("-w", "1"):
        for number in range(20):
            service.get(f"/hello/{number}")
        service.get("/boom")
    assert len(re.findall(r'"name": "GET /hello/<name>"', service.log())) == 20
    assert service.requests(route="/hello/<name>") == 20
    assert service.requests(route="/boom", status_code="500") == 1
    assert service.sink.series("http.server.duration") == []


def test_without_traces_upstream_is_not_loaded(service: Service) -> None:
    """A process that was not asked for spans imports neither the SDK nor upstream's Flask."""
    (service.folder / "app.py").write_text(
        "import sys\n"
        "from flask import Flask\n"
        "app = Flask(__name__)\n"
        "@app.get('/loaded')\n"
        "def loaded(): return [n for n in sys.modules if n.startswith('opentelemetry.')]\n"
    )
    with service.gunicorn("-w", "1"):
        loaded = service.get("/loaded").json()
    heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation.flask")
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_prometheus_is_served_under_the_exact_names(service: Service) -> None:
    """OTEL_METRICS_EXPORTER=prometheus: the contract, without suffixes, for all workers."""
    port = free_port()
    service.env["OTEL_METRICS_EXPORTER"] = "prometheus"
    service.env["OTEL_EXPORTER_PROMETHEUS_PORT"] = str(port)
    line = 'http_requests_total{method="GET",route="/hello/<name>",status_code="200"} 30.0'

    def scraped() -> list[str]:
        try:
            return httpx.get(f"http://localhost:{port}/metrics").text.splitlines()
        except httpx.HTTPError:
            return []

    with service.gunicorn("-w", "2"):
        for number in range(30):
            service.get(f"/hello/{number}")
        assert eventually(lambda: line in scraped())
        names = {found.partition("{")[0] for found in scraped() if not found.startswith("#")}
    assert "http_request_duration_ms_bucket" in names
    assert not any("milliseconds" in name for name in names)


def test_meters_of_the_application_work_as_usual(service: Service) -> None:
    """Its own counters go out by a provider of their own, under another instance id."""
    (service.folder / "app.py").write_text(
        "from flask import Flask\n"
        "from opentelemetry import metrics\n"
        "app = Flask(__name__)\n"
        "@app.get('/hello/<name>')\n"
        "def hello(name):\n"
        "    counter = metrics.get_meter('mine').create_counter('my_counter')\n"
        "    counter.add(1)\n"
        "    return 'ok'\n"
    )
    with service.gunicorn("-w", "1"):
        for _ in range(5):
            service.get("/hello/x")
        assert eventually(lambda: service.sink.value("my_counter") == 5)
    ours = {s.instance for s in service.sink.series("http_requests_total")}
    assert ours.isdisjoint({s.instance for s in service.sink.series("my_counter")})
