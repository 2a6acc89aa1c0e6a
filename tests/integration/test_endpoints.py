"""The monitoring endpoints on real servers: in front of any application, whatever it depends on does."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from conftest import Service, eventually
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from otel_accubooks.contract.endpoints import ENDPOINTS
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.stack.binaries import find_prometheus3
from otel_accubooks.stack.files import PROMETHEUS
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.prometheus import DIRECT, Prometheus
from otel_accubooks.stack.redis import Redis
from otel_accubooks.vendors.promql import APPLICATION_JOB

PATHS = [
    f"/api/monitoring/{name}" for name in ("health", "health/detailed", "pool-config", "summary")
]
METRICS = ["/api/monitoring/metrics", "/api/metrics", "/api/monitoring/metrics/"]
ERRORS = "/api/test/trigger-errors"

IN_THE_WAY = """
from flask import Flask, abort
from werkzeug.middleware.dispatcher import DispatcherMiddleware

walled = Flask("walled")

@walled.before_request
def wall():
    abort(401)

@walled.errorhandler(Exception)
def handled(error):
    return "an error page", getattr(error, "code", 500)

@walled.route("/<path:anything>", methods=["GET", "POST", "PUT"])
def catch_all(anything):
    return "a single-page application"

shielded = Flask("shielded")
shielded.wsgi_app = lambda environ, start: (start("403 Forbidden", []), [b"no"])[1]

own = Flask("own")
own.url_map.strict_slashes = False

@own.route("/api/monitoring/health")
@own.route("/api/metrics")
@own.route("/api/test/trigger-errors", methods=["POST"])
def theirs():
    return "their own"

class Special(Flask):
    def __call__(self, environ, start_response):
        return super().__call__(environ, start_response)

special = Special("special")
app = DispatcherMiddleware(walled, {"/shielded": shielded, "/own": own, "/special": special})
"""

DEPENDENT = """
import os
import redis, rq
from flask import Flask
from psycopg2.pool import ThreadedConnectionPool

app = Flask(__name__)
pool = ThreadedConnectionPool(2, 10, os.environ["DSN"])
cache = redis.Redis.from_url(os.environ["CACHE_URL"])
queue = rq.Queue("forecasts", connection=redis.Redis.from_url(os.environ["QUEUE_URL"]))

@app.get("/work")
def work():
    connection = pool.getconn()
    try:
        connection.cursor().execute("SELECT 1")
        connection.commit()
    finally:
        pool.putconn(connection)
    cache.get("nothing")
    queue.enqueue("os.getpid")
    return "done"
"""


def counted(service: Service, path: str = METRICS[0], **options: Any) -> float:
    """What the page says of requests to the application, all labels together."""
    lines = service.get(path, **options).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("http_requests_total{"))


def page(service: Service) -> list[str]:
    """The metrics, but for the uptime, which is another one each time."""
    lines = service.get(METRICS[0]).text.splitlines()
    return [line for line in lines if not line.startswith("system_uptime_seconds ")]


def test_nothing_of_the_application_is_in_their_way(service: Service) -> None:
    """Log-in wall, error pages, a catch-all, middleware, mounts: ours answer, theirs stay theirs."""
    (service.folder / "app.py").write_text(IN_THE_WAY)
    with service.gunicorn("-w", "2"):
        for mount in ("", "/shielded", "/special"):
            for path in (*PATHS, *METRICS):
                assert service.get(mount + path).status_code == 200, mount + path
            assert httpx.head(f"{service.url}{mount}/api/metrics").status_code == 200
            refused = httpx.post(f"{service.url}{mount}/api/metrics")
            assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
            off = httpx.post(service.url + mount + ERRORS, json={})
            unknown = httpx.post(f"{service.url}{mount}/api/test/trigger-nothing", json={})
            assert (off.status_code, off.text) == (unknown.status_code, unknown.text)
        assert counted(service) == 6
        for path in ("/api/monitoring/health", "/api/metrics"):
            assert service.get(f"/own{path}").text == "their own"
        assert httpx.post(f"{service.url}/own{ERRORS}").text == "their own"
        assert service.get("/own/api/monitoring/summary").json()["api"]["total_requests"] == 9
        assert service.get("/api/monitoring").status_code == 401
        assert service.get("/shielded/x").status_code == 403
        assert service.get("/special/x").status_code == 404
    assert service.requests() == 12


def test_whichever_worker_answers_says_the_same(service: Service) -> None:
    """To the instant, percentages and the readings of the host too; killed workers are in it once."""
    service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "600000"
    with service.gunicorn("-w", "3") as server:
        for path in ("/hello/x", "/boom", "/hello/x", "/hello/x"):
            service.get(path)
        assert service.send()
        for worker in psutil.Process(server.pid).children()[:2]:
            worker.kill()
        assert counted(service) == 4
        for _ in range(2):
            service.get("/boom")
        pages = [page(service) for _ in range(8)]
        assert all(found == pages[0] for found in pages)
        assert "http_error_rate_percent 50" in pages[0]
        assert any(line.startswith("system_cpu_usage_percent ") for line in pages[0])
        summaries = [service.get(PATHS[3]).json() for _ in range(6)]
        assert {str(found["api"]) for found in summaries} == {
            "{'total_requests': 6, 'error_rate': 50}"
        }
        assert service.get(PATHS[1]).json()["components"]["application"]["memory"] > 0


def test_a_real_scrape_gets_all_of_it_with_its_token(service: Service, tmp_path: Path) -> None:
    """Prometheus 2 and 3 ask for OpenMetrics, and store the contract's names and numbers."""
    service.env["OTEL_METRICS_EXPORTER"] = "none"
    service.env["OTEL_ACCUBOOKS_MONITORING_TOKEN"] = "old, a-token"
    (tmp_path / "token").write_text("a-token\n")
    with service.gunicorn("-w", "2"), ExitStack() as running:
        for _ in range(25):
            service.get("/hello/x")
        bearer = {"Authorization": "Bearer a-token", "Accept": "application/openmetrics-text"}
        families = list(
            text_string_to_metric_families(service.get(METRICS[0], headers=bearer).text)
        )
        found = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
        assert found <= BY_NAME.keys()
        assert {"http_requests_total", "http_request_duration_ms", "system_health_status"} <= found
        for binary in (Path("/usr/bin/prometheus"), find_prometheus3()):
            prometheus = running.enter_context(scraping(tmp_path, binary, service.port))
            assert becomes(prometheus, 'http_requests_total{job="accubooks"}', [25.0])
            assert becomes(prometheus, "sum(http_request_duration_ms_count)", [25.0])
            assert becomes(prometheus, 'up{job="accubooks"}', [1.0])
            assert becomes(prometheus, 'up{job="accubooks-health"}', [1.0])


@contextmanager
def scraping(folder: Path, binary: Path, port: int) -> Iterator[Prometheus]:
    """A Prometheus that has nothing but the scrape, and shows a token as the documentation says."""
    place = folder / binary.name
    shutil.copytree(PROMETHEUS, place / "shipped")
    config = yaml.safe_load(DIRECT.read_text())
    (metrics,) = (job for job in config["scrape_configs"] if job["job_name"] == APPLICATION_JOB)
    metrics["authorization"] = {"credentials_file": str(folder / "token")}
    (place / "shipped" / DIRECT.name).write_text(yaml.safe_dump(config))
    with Prometheus(
        place, binary, config=place / "shipped" / DIRECT.name,
        targets={"app": [f"127.0.0.1:{port}"]}, scrape_interval="1s",
    ) as made:  # fmt: skip
        yield made


def values(prometheus: Prometheus, query: str) -> list[float]:
    return [value for _, value in prometheus.query(query)]


def becomes(prometheus: Prometheus, query: str, expected: list[float]) -> bool:
    return eventually(lambda: values(prometheus, query) == expected, 60)


class Dependent:
    """The application with a database, a cache and a queue, each a server of its own."""

    def __init__(self, service: Service, running: ExitStack) -> None:
        folder = service.folder
        for name in ("cache", "queue"):
            (folder / name).mkdir()
        self.database = running.enter_context(Postgres(folder))
        self.cache = running.enter_context(Redis(folder / "cache"))
        self.queue = running.enter_context(Redis(folder / "queue"))
        service.env |= {
            "DSN": self.database.dsn,
            "CACHE_URL": self.cache.url,
            "QUEUE_URL": self.queue.url,
        }
        (folder / "app.py").write_text(DEPENDENT)
        running.enter_context(service.gunicorn("-w", "2"))
        self._service = service

    def health(self) -> tuple[int, dict[str, Any]]:
        answer = self._service.get(PATHS[0])
        return answer.status_code, answer.json()

    def becomes(self, code: int, **expected: object) -> bool:
        """True once `health` says so; with it, each look has an answer."""

        def so() -> bool:
            found, values = self.health()
            return found == code and all(values.get(k) == v for k, v in expected.items())

        return eventually(so, 60)


@pytest.fixture
def dependent(service: Service) -> Iterator[Dependent]:
    with ExitStack() as running:
        yield Dependent(service, running)


def frozen(server: Any) -> Callable[[], None]:
    """Stops every process of a server in its tracks, as a disk that hangs does; returns the thaw."""
    top = psutil.Process(server.pid)
    everybody = [top, *top.children(recursive=True)]
    for process in everybody:
        process.suspend()

    def thaw() -> None:
        for process in everybody:
            if process.is_running():
                process.send_signal(signal.SIGCONT)

    return thaw


def test_health_and_numbers_while_dependencies_hang_or_die(
    service: Service, dependent: Dependent
) -> None:
    """Every answer comes from memory: what hangs or is gone is marked, and nobody waits for it."""
    everything_well = {
        "status": "healthy",
        "database": "healthy",
        "cache": "healthy",
        "queue": "healthy",
    }
    assert eventually(lambda: service.get("/work").status_code == 200)
    assert dependent.becomes(200, **everything_well, stale=None)
    assert eventually(lambda: service.get(PATHS[3]).json()["queue"]["depth"] == 1)
    assert eventually(lambda: service.get(PATHS[3]).json()["database"]["pool_max"] == 20)
    summary = service.get(PATHS[3]).json()
    assert summary["cache"]["hit_rate"] == 0
    assert summary["system"]["health_status"] == 1
    pools = service.get(PATHS[2]).json()
    assert (pools["configuration"]["max"], pools["configuration"]["min"]) == (20, 4)

    dependent.cache.kill()
    assert dependent.becomes(200, status="degraded", cache="unhealthy", database="healthy")
    thaw = frozen(dependent.database)
    try:
        dependent.queue.kill()
        assert dependent.becomes(503, status="unhealthy", database="unhealthy", queue="unhealthy")
        assert dependent.becomes(503, stale=["cache", "database", "queue"])
        for path in (*PATHS[1:], *METRICS):
            answer = service.get(path)
            assert answer.status_code == (503 if path.endswith("detailed") else 200)
        assert service.get(PATHS[3]).json()["stale"] == ["cache", "database", "queue"]
        assert service.get(PATHS[3]).json()["system"]["health_status"] == 0
        assert "system_health_status 0" in page(service)
    finally:
        thaw()
    dependent.cache.start()
    dependent.queue.start()
    assert dependent.becomes(200, **everything_well, stale=None)
    dependent.database.kill()
    assert dependent.becomes(503, status="unhealthy", database="unhealthy", cache="healthy")


@pytest.mark.parametrize("worker", ["sync", "gevent"])
def test_a_drill_makes_as_many_errors_as_it_says(service: Service, worker: str) -> None:
    """They arrive in the backend; one runs at a time on the host; without the token there is none."""
    service.env |= {
        "OTEL_ACCUBOOKS_TEST_ERRORS": "true",
        "OTEL_ACCUBOOKS_MONITORING_TOKEN": "secret",
    }
    bearer = {"Authorization": "Bearer secret"}
    drill = {"count": 40, "duration": "4s"}
    with service.gunicorn("-w", "3", "-k", worker):
        assert httpx.post(service.url + ERRORS, json=drill).status_code == 401
        assert httpx.post(service.url + ERRORS, json={}, headers=bearer).status_code == 400
        begun = httpx.post(service.url + ERRORS, json=drill, headers=bearer)
        assert (begun.status_code, begun.json()["over_1_percent"]) == (202, True)
        for _ in range(6):
            again = httpx.post(service.url + ERRORS, json=drill, headers=bearer)
            assert (again.status_code, again.json()["running"]["count"]) == (409, 40)
        assert service.get("/hello/x").status_code == 200
        assert eventually(lambda: counted(service, headers=bearer) == 41)
        assert eventually(
            lambda: (
                httpx.post(
                    service.url + ERRORS, json={"count": 1, "duration": "1s"}, headers=bearer
                ).status_code
                == 202
            )
        )
        assert eventually(lambda: counted(service, headers=bearer) == 42)
    assert service.requests(method="POST", route=ERRORS, status_code="500") == 41
    assert "trigger-errors" not in service.log()


def test_the_endpoints_move_and_go(service: Service) -> None:
    """With a prefix they are there and nowhere else; with `none` nothing is left of them."""
    service.env["OTEL_ACCUBOOKS_MONITORING_PREFIX"] = "/ops"
    with service.gunicorn():
        assert service.get("/ops/health").json()["status"] == "healthy"
        assert service.get("/api/metrics").status_code == 200
        assert service.get("/api/monitoring/health").status_code == 404
    assert eventually(service.gone)
    service.env["OTEL_ACCUBOOKS_MONITORING_PREFIX"] = "none"
    with service.gunicorn():
        for one in ENDPOINTS:
            for path in (*one.paths(), *one.paths("/ops")):
                assert httpx.request(one.method, service.url + path).status_code == 404
    assert service.requests(route="unmatched", method="GET") >= 10


def test_without_a_folder_a_worker_tells_of_itself(service: Service) -> None:
    """Said once in the log; requests and their metrics go on."""
    (service.folder / "in the way").write_text("")
    service.env["OTEL_ACCUBOOKS_STATE_DIR"] = str(service.folder / "in the way" / "below")
    with service.gunicorn("-w", "1"):
        for _ in range(5):
            service.get("/hello/x")
        assert counted(service) == 5
        assert service.get(PATHS[3]).json()["api"]["total_requests"] == 5
        assert service.get(PATHS[1]).json()["components"]["application"]["memory"] > 0
    assert service.log().count("metrics of this process stay in its memory") == 1
