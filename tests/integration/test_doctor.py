"""The doctor on the whole deployment: nothing wrong while it is well, and where a signal is lost."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from time import time

import httpx
import pytest
import yaml
from conftest import APP, BIN, eventually

from otel_accubooks.doctor.examination import Report, examine
from otel_accubooks.servers.prometheus import Prometheus as Client
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.binaries import find_collector, find_prometheus
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.deployment import Deployment
from otel_accubooks.stack.files import COLLECTOR, backend_file
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server
from otel_accubooks.stack.prometheus import DIRECT, Prometheus

PERSON = {"email": "pro@acorn.example", "password": "correct horse"}
TOKEN = "s3cr3t-t0ken-of-nobody"
SOON = 4.0


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("doctor")
    with Deployment(folder, ["prometheus"], workers=2, scrape_interval="1s") as made:
        made.start(lambda _: None)
        with httpx.Client(base_url=made.url, timeout=30) as client:
            assert eventually(lambda: client.post("/login", json=PERSON).status_code == 200)
            client.get("/api/scenarios")
            client.post("/api/forecasts", json={})
        yield made


def pids(deployment: Deployment) -> list[int]:
    return [deployment.gunicorn.pid, deployment.worker.pid]


def examined(
    deployment: Deployment, *, of: list[int] | None = None, wait: float = 60, gateway: str = ""
) -> Report:
    assert deployment.prometheus is not None
    servers = Servers(prometheus=deployment.prometheus.url, gateway=gateway or Servers().gateway)
    return examine(servers, {}, pids=of or pids(deployment), wait_seconds=wait)


def ids(report: Report) -> set[str]:
    return {finding.kind.id for finding in report.findings}


@contextmanager
def small_app(folder: Path, endpoint: str, **env: str) -> Iterator[Server]:
    """A Flask application of its own, with its metrics sent to `endpoint`."""
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    port = free_port()
    given = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    given |= {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "OTEL_SERVICE_NAME": folder.name,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_ACCUBOOKS_STATE_DIR": str(folder / "state"),
        **env,
    }
    bind = f"127.0.0.1:{port}"
    server = Server(
        folder.name,
        [str(BIN / "opentelemetry-instrument"), "gunicorn", "-b", bind, "app:app"],
        log=folder / "log",
        env=given,
        cwd=folder,
        ready=lambda: tcp_open(port),
    )
    with server:
        for _ in range(3):
            httpx.get(f"http://{bind}/hello/you", timeout=30)
        server.address = bind  # type: ignore[attr-defined]
        yield server


def both_seen(deployment: Deployment) -> bool:
    """True once Prometheus failed to scrape two applications, and has a metric by another name."""
    assert deployment.prometheus is not None
    client = Client(deployment.prometheus.url)
    try:
        targets = client.targets()
        down = [t for t in targets if t["health"] == "down" and "/metrics" in t["scrapeUrl"]]
        return len(down) == 2 and bool(client.query("http_request_duration_ms_milliseconds_count"))
    finally:
        client.close()


def test_a_healthy_deployment_has_nothing_wrong(deployment: Deployment) -> None:
    """Web, worker, gateway and Prometheus: looked at, named at the end, and no fault among them."""
    report = examined(deployment)
    found = [f"{f.kind.id}: {f.found}" for f in report.findings if f.kind.severity != "note"]
    assert found == []
    # This Prometheus tells no Alertmanager, which is worth a note and no more.
    assert ids(report) == {"no-alertmanager"}
    looked = "\n".join(report.looked)
    for part in (
        "gunicorn",
        "rq",
        "gateway http://",
        "otel_accubooks_doctor_probe arrived",
        "healthy",
    ):
        assert part in looked


def test_the_command_says_the_same(deployment: Deployment) -> None:
    """For people in lines, for machines as JSON; 0 while nothing is wrong, and 1 else."""
    assert deployment.prometheus is not None
    call = (
        "import sys; from otel_accubooks.cli.doctor import run;"
        "from otel_accubooks.servers.settings import Servers;"
        "sys.exit(run(Servers(prometheus=sys.argv[1]), pids=[int(p) for p in sys.argv[3:]],"
        " as_json=sys.argv[2] == 'json', wait_seconds=60))"
    )

    def said(how: str, *of: int) -> tuple[int, str]:
        argv = [sys.executable, "-c", call, deployment.prometheus.url, how, *map(str, of)]  # type: ignore[union-attr]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    status, text = said("text", *pids(deployment))
    assert status == 0, text
    assert text.splitlines()[-1].startswith("Nothing wrong found in what is named above")
    assert "\x1b" not in text
    status, text = said("json", os.getpid())
    told = json.loads(text)
    assert status == 1
    assert not told["healthy"]
    assert {"id", "severity", "found", "expected", "fix", "where"} == set(told["findings"][0])


def test_a_gateway_that_cannot_hand_on(deployment: Deployment, tmp_path: Path) -> None:
    """It answers 200, and its backend's address is wrong: the marked metric shows it."""
    nowhere = f"http://127.0.0.1:{free_port()}/api/v1/write"
    gateway = Collector(
        tmp_path / "gateway",
        find_collector(),
        ["prometheus-remote-write"],
        env={"PROMETHEUS_REMOTE_WRITE_URL": nowhere},
    )
    with gateway, small_app(tmp_path / "lost", gateway.otlp_url) as app:
        report = examined(deployment, of=[app.pid], wait=SOON)
        assert {"probe-lost", "series-missing", "gateway-cannot-hand-on"} <= ids(report)
        assert "gateway-unreachable" not in ids(report)


def test_a_gateway_that_feeds_another_backend(deployment: Deployment, tmp_path: Path) -> None:
    """It hands on all that it takes, and not to the Prometheus that is asked: its exporter is named."""
    backend = yaml.safe_load(backend_file("prometheus-remote-write").read_text())
    backend["exporters"] = {"debug": {}}
    for pipeline in backend["service"]["pipelines"].values():
        pipeline["exporters"] = ["debug"]
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(yaml.safe_dump(backend))
    gateway = Collector(tmp_path / "gateway", find_collector(), ["prometheus-remote-write"])
    gateway.argv[-1] = str(elsewhere)
    with gateway, small_app(tmp_path / "elsewhere", gateway.otlp_url) as app:

        def named() -> str:
            found = examined(deployment, of=[app.pid], wait=SOON).findings
            return " ".join(f.found for f in found if f.kind.id == "gateway-feeds-another")

        assert eventually(lambda: "debug" in named(), 60)


def test_two_people_call_the_doctor_at_once(deployment: Deployment) -> None:
    """Both marked metrics are found, though they are values of one series."""
    with ThreadPoolExecutor(2) as people:
        both = [people.submit(examined, deployment) for _ in range(2)]
    assert [ids(one.result()) for one in both] == [{"no-alertmanager"}] * 2


def test_a_gateway_that_refuses_the_token(deployment: Deployment, tmp_path: Path) -> None:
    """It wants another token than the application shows; neither is told."""
    (tmp_path / "tokens").write_text("another-token\n")
    assert deployment.prometheus is not None
    gateway = Collector(
        tmp_path / "gateway",
        find_collector(),
        ["prometheus-remote-write"],
        options=[COLLECTOR / "options" / "bearer-auth.yaml"],
        env={
            "GATEWAY_TOKENS_FILE": str(tmp_path / "tokens"),
            "PROMETHEUS_REMOTE_WRITE_URL": f"{deployment.prometheus.url}/api/v1/write",
        },
    )
    header = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TOKEN}"}
    with gateway, small_app(tmp_path / "refused", gateway.otlp_url, **header) as app:
        report = examined(deployment, of=[app.pid], wait=SOON)
        assert "token-refused" in ids(report)
        assert TOKEN not in json.dumps(report.in_words())
        grpc = f"http://127.0.0.1:{gateway.ports.otlp_grpc}"
        report = examined(deployment, of=[app.pid], wait=SOON, gateway=grpc)
        assert "not-an-otlp-port" in ids(report)
        tls = f"https://127.0.0.1:{gateway.ports.otlp_http}"
        report = examined(deployment, of=[app.pid], wait=SOON, gateway=tls)
        assert "tls-mismatch" in ids(report)


def test_metrics_with_other_names_delta_and_a_target_that_is_down(
    deployment: Deployment, tmp_path: Path
) -> None:
    """A gateway that adds suffixes, an application that sends delta, and who cannot be scraped."""
    assert deployment.prometheus is not None
    backend = yaml.safe_load(backend_file("prometheus-remote-write").read_text())
    exporter = backend["exporters"]["prometheus_remote_write"]
    exporter["translation_strategy"] = "UnderscoreEscapingWithSuffixes"
    suffixes = tmp_path / "suffixes.yaml"
    suffixes.write_text(yaml.safe_dump(backend))
    gateway = Collector(
        tmp_path / "gateway",
        find_collector(),
        ["prometheus-remote-write"],
        env={"PROMETHEUS_REMOTE_WRITE_URL": f"{deployment.prometheus.url}/api/v1/write"},
    )
    gateway.argv[-1] = str(suffixes)
    targets = deployment.folder / "prometheus" / "targets" / "app.yml"
    before = targets.read_text()
    delta = {
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        "OTEL_ACCUBOOKS_MONITORING_TOKEN": TOKEN,
    }
    with gateway, small_app(tmp_path / "renamed", gateway.otlp_url, **delta) as app:
        address: str = app.address  # type: ignore[attr-defined]
        closed = f"127.0.0.1:{free_port()}"
        targets.write_text(yaml.safe_dump([{"targets": [address, closed]}]))
        try:
            # Seen by Prometheus: the two targets, and a metric with a unit behind its name.
            assert eventually(lambda: both_seen(deployment), 60)
            report = examined(deployment, of=[app.pid], wait=SOON)
        finally:
            targets.write_text(before)
    expected = {"target-down", "scrape-without-token", "metrics-renamed", "delta-to-prometheus"}
    assert expected <= ids(report)
    assert TOKEN not in json.dumps(report.in_words())


def test_a_prometheus_of_ones_own(deployment: Deployment, tmp_path: Path) -> None:
    """Without rules, and with what is pushed scraped a second time."""
    rules = tmp_path / "none.yml"
    rules.write_text("groups: []\n")
    app_target = f"127.0.0.1:{deployment.app_port}"
    with Prometheus(
        tmp_path / "prometheus",
        find_prometheus(),
        config=DIRECT,
        targets={"app": [app_target]},
        scrape_interval="1s",
        rules=rules,
    ) as prometheus:
        gateway = Collector(
            tmp_path / "gateway",
            find_collector(),
            ["prometheus-remote-write"],
            env={"PROMETHEUS_REMOTE_WRITE_URL": f"{prometheus.url}/api/v1/write"},
        )
        with gateway, small_app(tmp_path / "pushed", gateway.otlp_url) as app:
            servers = Servers(prometheus=prometheus.url)

            def found() -> set[str]:
                return ids(examine(servers, {}, pids=[app.pid], wait_seconds=60))

            assert eventually(lambda: {"rules-not-loaded", "pushed-and-scraped"} <= found(), 60)


def test_prometheus_does_not_answer(deployment: Deployment) -> None:
    """Where the backend cannot be asked, nothing is assumed of what arrives there."""
    servers = Servers(prometheus=f"http://127.0.0.1:{free_port()}")
    report = examine(servers, {}, pids=pids(deployment))
    assert "prometheus-unreachable" in ids(report)
    assert report.ill


class Apart(http.server.BaseHTTPRequestHandler):
    """Hands everything on to the Prometheus at `to`, on a host whose clock is an hour ahead."""

    to = ""

    def do_GET(self) -> None:
        answer = httpx.get(self.to + self.path)
        content = answer.content
        if self.path.endswith("query=time()"):
            content = (
                json.dumps(
                    {
                        "status": "success",
                        "data": {
                            "resultType": "scalar",
                            "result": [time() + 3600, str(time() + 3600)],
                        },
                    }
                )
                .replace(" ", "")
                .encode()
            )
        self.send_response_only(answer.status_code)
        self.send_header("Date", formatdate(time() + 3600, usegmt=True))
        self.send_header("Content-Type", answer.headers["content-type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_clocks_an_hour_apart(deployment: Deployment) -> None:
    """A backend whose host has another time is named, with how far it is."""
    assert deployment.prometheus is not None
    Apart.to = deployment.prometheus.url
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Apart)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        servers = Servers(prometheus=f"http://127.0.0.1:{server.server_port}")
        report = examine(servers, {}, pids=pids(deployment), wait_seconds=SOON)
    finally:
        server.shutdown()
        server.server_close()
    (found,) = (f for f in report.findings if f.kind.id == "clocks-apart")
    assert "ahead of this host" in found.found


def test_a_database_that_is_down(deployment: Deployment) -> None:
    """What the application needs and does not reach is named, at the place where it is known."""
    deployment.postgres.kill()
    try:
        assert eventually(
            lambda: "application-unhealthy" in ids(examined(deployment, wait=SOON)), 60
        )
    finally:
        deployment.postgres.start()
