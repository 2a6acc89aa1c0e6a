"""Those who come from elsewhere: what docs/migration.md says of running side by side, and of StatsD."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import Service, eventually
from datadog.dogstatsd import DogStatsd

from otel_accubooks.stack.binaries import find_collector
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.prometheus import Prometheus

ASKED = 30

# As its own documentation has it, for a server with several workers; and a counter of the application.
APP = """
from flask import Flask
from prometheus_client import Counter
from prometheus_flask_exporter.multiprocess import GunicornInternalPrometheusMetrics

app = Flask(__name__)
metrics = GunicornInternalPrometheusMetrics(app)
orders = Counter("orders", "Orders", ["shop"])

@app.get("/order/<int:number>")
def order(number):
    orders.labels("north").inc()
    return "done"
"""


def total(page: str, name: str) -> float:
    """The sum of all series of `name` on a page of Prometheus text."""
    return sum(float(v) for v in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page, re.MULTILINE))


def test_prometheus_flask_exporter_side_by_side(service: Service) -> None:
    """Both work in one process: each page, and what is sent, tells of the same requests, exactly."""
    (service.folder / "app.py").write_text(APP)
    (service.folder / "prometheus").mkdir()
    page = free_port()
    service.env["PROMETHEUS_MULTIPROC_DIR"] = str(service.folder / "prometheus")
    service.env["OTEL_METRICS_EXPORTER"] = "otlp,prometheus"
    service.env["OTEL_EXPORTER_PROMETHEUS_PORT"] = str(page)
    with service.gunicorn("-w", "2"):
        for number in range(ASKED):
            assert service.get(f"/order/{number}").text == "done"
        theirs = service.get("/metrics").text
        assert total(theirs, "flask_http_request_total") == ASKED
        assert total(theirs, "orders_total") == ASKED
        ours = service.get("/api/monitoring/metrics").text
        assert f'route="/order/<int:number>",status_code="200"}} {ASKED}\n' in ours
        assert "orders" not in ours
        assert eventually(lambda: "http_requests_total" in own_page(page))
        own = own_page(page)
        assert "flask_http_request" not in own
    service.ended()
    assert service.requests(route="/order/<int:number>") == ASKED


def own_page(port: int) -> str:
    """What the exporter serves."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.TransportError:
        return ""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[Collector, Prometheus]]:
    """The gateway into Debian's Prometheus 2, which takes no native histograms."""
    quick = tmp_path / "quick.yaml"
    quick.write_text("receivers: {statsd: {aggregation_interval: 1s}}")
    with Prometheus(tmp_path / "prometheus", Path("/usr/bin/prometheus")) as prometheus:
        env = {"PROMETHEUS_REMOTE_WRITE_URL": f"{prometheus.url}/api/v1/write"}
        backends = ["prometheus-remote-write"]
        folder = tmp_path / "gateway"
        with Collector(folder, find_collector(), backends, env=env, options=[quick]) as collector:
            yield collector, prometheus


def test_dogstatsd_through_the_gateway(gateway: tuple[Collector, Prometheus]) -> None:
    """What the client of `datadog` sends arrives; sets, events, checks and what is too old do not."""
    collector, prometheus = gateway
    raw = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with raw, DogStatsd("127.0.0.1", collector.ports.statsd, constant_tags=["env:prod"]) as client:
        client.set("visitors", "anna")
        client.event("deployed", "version 2")
        client.service_check("web.up", DogStatsd.OK)
        client.increment("web.page_views", 5, tags=["page:home"])
        client.increment("web.page_views", tags=["page:cart", "canary"])
        client.gauge("queue.depth", 7)
        client.histogram("cart.size", 3)
        client.timing("query.ms", 12)
        client.timing("query.ms", 700)
        client.timing("query.ms", 0)
        client.distribution("render_seconds", 0.3)
        client.flush()
        for packet in (b"sampled:1|c|@0.5", b"ancient:3|c|T1656581400", b"packed:1:2|d"):
            raw.sendto(packet, ("127.0.0.1", collector.ports.statsd))
        assert eventually(lambda: prometheus.query("sampled"), 60)
        raw.sendto(b"last:1|c", ("127.0.0.1", collector.ports.statsd))
        assert eventually(lambda: prometheus.query("last"), 60), collector.log_tail()

    def value(query: str) -> list[float]:
        return [value for _, value in prometheus.query(query)]

    assert value('web_page_views{env="prod", page="home"}') == [5]
    assert value('web_page_views{env="prod", page="cart"}') == [1]
    assert value('queue_depth{env="prod"}') == [7]
    assert value('cart_size_bucket{le="5"}') == value("cart_size_count") == [1]
    assert value("query_ms_sum") == [712]
    edges = ("1", "10", "25", "500", "1000", "+Inf")
    assert [value(f'query_ms_bucket{{le="{le}"}}') for le in edges] == [
        [1],
        [1],
        [2],
        [2],
        [3],
        [3],
    ]
    assert value('render_seconds_bucket{le="0.1"}') == [0]
    assert value('render_seconds_bucket{le="0.5"}') == [1]
    assert value("sampled") == [2]
    names = {labels["__name__"] for labels, _ in prometheus.query('{job="statsd"}')}
    started = ("web_", "queue_", "cart_", "query_", "render_", "sampled", "last")
    assert {name for name in names if not name.startswith((*started, "datadog_"))} == set()
