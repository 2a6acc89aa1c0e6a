"""collector/prometheus/: the configuration that pushes, the one that scrapes, and both versions."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.files import PROMETHEUS
from otel_accubooks.stack.process import StartError
from otel_accubooks.stack.prometheus import DIRECT, PUSHED, Prometheus, adapt
from tests.collector.waiting import eventually

UP = 'up{job="accubooks"}'


class _Metrics(BaseHTTPRequestHandler):
    """An application that answers Prometheus at /api/monitoring/metrics, and nowhere else."""

    def do_GET(self) -> None:
        found = self.path == "/api/monitoring/metrics"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        if found:
            self.wfile.write(b"# TYPE http_requests_total counter\nhttp_requests_total 42\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def application() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Metrics)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def values(prometheus: Prometheus, query: str) -> list[float]:
    return [value for _, value in prometheus.query(query)]


@pytest.mark.parametrize("version", ["prometheus2_binary", "prometheus3_binary"])
def test_where_metrics_are_pushed_a_scrape_keeps_up_alone(
    start_prometheus: Callable[..., Prometheus], request: pytest.FixtureRequest, version: str
) -> None:
    """Prometheus knows that the application is up, and has none of its numbers a second time."""
    with application() as address:
        prometheus = start_prometheus(
            request.getfixturevalue(version), targets={"app": [address]}, scrape_interval="1s"
        )
        eventually(lambda: values(prometheus, UP), [1.0])
        scraped = 'scrape_samples_scraped{job="accubooks"}'
        eventually(lambda: values(prometheus, scraped), [1.0])
        assert values(prometheus, "http_requests_total") == []
    eventually(lambda: values(prometheus, UP), [0.0])


@pytest.mark.parametrize("version", ["prometheus2_binary", "prometheus3_binary"])
def test_without_a_collector_the_scrape_is_the_whole_path(
    start_prometheus: Callable[..., Prometheus], request: pytest.FixtureRequest, version: str
) -> None:
    """With prometheus-direct.yml the numbers come by the scrape, under the same job."""
    with application() as address:
        prometheus = start_prometheus(
            request.getfixturevalue(version),
            config=DIRECT, targets={"app": [address]}, scrape_interval="1s",
        )  # fmt: skip
        eventually(lambda: values(prometheus, 'http_requests_total{job="accubooks"}'), [42.0])
        assert values(prometheus, UP) == [1.0]


def test_the_gateways_own_metrics_are_scraped(
    start_prometheus: Callable[..., Prometheus],
    start_gateway: Callable[..., Collector],
    prometheus3_binary: Path,
) -> None:
    """Whether the gateway is up, and how full its queue is, can be watched in Prometheus."""
    gateway = start_gateway(["prometheus"])
    prometheus = start_prometheus(
        prometheus3_binary,
        targets={"gateway": [f"127.0.0.1:{gateway.ports.metrics}"]},
        scrape_interval="1s",
    )
    eventually(lambda: values(prometheus, 'up{job="otel-gateway"}'), [1.0])
    assert len(values(prometheus, 'otelcol_exporter_queue_capacity{job="otel-gateway"}')) == 1


def test_prometheus_2_gets_the_same_file_without_what_it_refuses() -> None:
    """One file is kept: what a 2.x does not know is taken out, and nothing else differs."""
    config = yaml.safe_load(PUSHED.read_text())
    assert adapt(config, None, otlp=True) == config
    assert config.keys() - adapt(config, None, otlp=False).keys() == {"otlp"}


def test_debians_promtool_accepts_what_is_written_for_it(
    prometheus2_binary: Path, tmp_path: Path
) -> None:
    """The derived file is valid where the shipped one, made for Prometheus 3, is refused."""
    derived = Prometheus(tmp_path, prometheus2_binary).config
    for path, expected in ((derived, 0), (PUSHED, 1), (DIRECT, 0)):
        argv = ["promtool", "check", "config", "--syntax-only", str(path)]
        assert subprocess.run(argv, check=False, capture_output=True).returncode == expected


def test_scrape_interval_and_retention_are_as_promised(
    prometheus3_binary: Path, tmp_path: Path
) -> None:
    """Every 15 seconds, kept for 30 days."""
    for path in (PUSHED, DIRECT):
        assert yaml.safe_load(path.read_text())["global"]["scrape_interval"] == "15s"
    argv = Prometheus(tmp_path, prometheus3_binary).argv
    assert "--storage.tsdb.retention.time=30d" in argv


def test_every_target_file_that_is_named_is_there() -> None:
    """Who changes a target finds the file, with an example in it."""
    for path in (PUSHED, DIRECT):
        config = yaml.safe_load(path.read_text())
        scraped = [*config["scrape_configs"], *config["alerting"]["alertmanagers"]]
        for files in (entry["file_sd_configs"][0]["files"] for entry in scraped):
            assert all((PROMETHEUS / file).is_file() for file in files)


def test_a_query_that_is_wrong_is_refused_with_prometheuss_words(prometheus2: Prometheus) -> None:
    """A misspelt query is never an empty answer."""
    with pytest.raises(ValueError, match="parse error"):
        prometheus2.query("sum(")
    with pytest.raises(ValueError, match="not an instant vector"):
        prometheus2.query("1")


def test_an_unknown_target_is_refused(prometheus2_binary: Path, tmp_path: Path) -> None:
    """A misspelt target would be scraped by nobody, and is an error."""
    with pytest.raises(ValueError, match=r"no targets/ap\.yml"):
        Prometheus(tmp_path, prometheus2_binary, targets={"ap": ["127.0.0.1:1"]})


def test_a_prometheus_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message says which program could not be run."""
    with pytest.raises(StartError, match="/no/such/prometheus"):
        Prometheus(tmp_path, Path("/no/such/prometheus"))
