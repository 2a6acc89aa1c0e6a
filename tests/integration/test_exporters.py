"""Other ways out: spans beside the metrics, and Prometheus without a collector."""

from __future__ import annotations

import json
import re
import socket

import httpx
from conftest import Service, eventually

from otel_accubooks.stack.ports import free_port


def test_spans_are_printed_where_the_application_prints(service: Service) -> None:
    """OTEL_TRACES_EXPORTER=console; no metric of upstream's comes with them."""
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


def page(port: int) -> list[str]:
    """What Prometheus would scrape there; nothing while nothing is served."""
    try:
        return httpx.get(f"http://localhost:{port}/metrics", trust_env=False).text.splitlines()
    except httpx.HTTPError:
        return []


THIRTY = 'http_requests_total{method="GET",route="/hello/<name>",status_code="200"} 30'


def test_prometheus_is_served_beside_otlp(service: Service) -> None:
    """otlp,prometheus: one page for all workers, under the exact names; the same goes by OTLP."""
    port = free_port()
    service.env["OTEL_METRICS_EXPORTER"] = "otlp,prometheus"
    service.env["OTEL_EXPORTER_PROMETHEUS_PORT"] = str(port)
    with service.gunicorn("-w", "2"):
        for number in range(30):
            service.get(f"/hello/{number}")
        assert eventually(lambda: f"{THIRTY}.0" in page(port))
        names = {found.partition("{")[0] for found in page(port) if not found.startswith("#")}
    assert "http_request_duration_ms_bucket" in names
    assert not any("milliseconds" in name for name in names)
    # Nothing that the process which serves the page has to say of itself.
    assert not any(name.startswith("python_") for name in names)
    assert service.requests(route="/hello/<name>") == 30


def test_a_port_that_is_taken_is_said_once_and_tried_again(service: Service) -> None:
    """One clear line; the page is there once the port is free, with all that was counted."""
    service.env["OTEL_METRICS_EXPORTER"] = "prometheus"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service.env["OTEL_EXPORTER_PROMETHEUS_HOST"] = "127.0.0.1"
        service.env["OTEL_EXPORTER_PROMETHEUS_PORT"] = str(port)
        server = service.gunicorn("-w", "2").start()
        try:
            for number in range(30):
                service.get(f"/hello/{number}")
            said = f"no page for Prometheus is served at 127.0.0.1:{port}: "
            assert eventually(lambda: said in service.log())
            other.close()
            url = f"http://127.0.0.1:{port}/metrics"

            def served() -> bool:
                try:
                    return f"{THIRTY}.0" in httpx.get(url, trust_env=False).text.splitlines()
                except httpx.HTTPError:
                    return False

            assert eventually(served)
        finally:
            server.stop()
    assert service.log().count(said) == 1


def test_console_is_the_applications_own(service: Service) -> None:
    """OTEL_METRICS_EXPORTER=console prints what would be sent, where the application prints."""
    service.env["OTEL_METRICS_EXPORTER"] = "console"
    with service.gunicorn("-w", "2"):
        for number in range(30):
            service.get(f"/hello/{number}")
    assert eventually(service.gone)
    printed = re.findall(r'^\{\n    "resource_metrics".*?^\}$', service.log(), re.M | re.S)
    (scope,) = json.loads(printed[-1])["resource_metrics"][0]["scope_metrics"]
    (requests,) = [m for m in scope["metrics"] if m["name"] == "http_requests_total"]
    assert [point["value"] for point in requests["data"]["data_points"]] == [30]
    assert service.sink.series() == []


def test_none_sends_nothing_and_still_counts(service: Service) -> None:
    """Nothing leaves the host; the monitoring endpoint is exact over workers that came and went."""
    service.env["OTEL_METRICS_EXPORTER"] = "none"
    with service.gunicorn("-w", "2", "--max-requests", "5"):
        for number in range(30):
            service.get(f"/hello/{number}")
        assert THIRTY in service.get("/api/monitoring/metrics").text.splitlines()
        # The dead are added up: they leave no files behind.
        (folder,) = service.state.iterdir()
        assert eventually(lambda: len(list(folder.glob("segment-*"))) <= 2)
        assert THIRTY in service.get("/api/monitoring/metrics").text.splitlines()
    assert service.sink.requests.total() == 0
    assert "otel-accubooks" not in service.log()


def test_an_exporter_that_is_not_there_is_named_and_the_others_go_on(service: Service) -> None:
    """One line says what was found and what to do; OTLP is sent all the same."""
    service.env["OTEL_METRICS_EXPORTER"] = "otlp,telepathy"
    with service.gunicorn("-w", "2"):
        for number in range(30):
            service.get(f"/hello/{number}")
        said = "OTEL_METRICS_EXPORTER names 'telepathy', which is not installed: expected otlp or"
        assert eventually(lambda: said in service.log())
    assert service.log().count(said) == 1
    assert service.requests(route="/hello/<name>") == 30
