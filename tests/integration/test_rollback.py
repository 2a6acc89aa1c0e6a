"""One step back each: one instrumentation, all of it, the endpoints. And that nothing of it remains."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import rq
from conftest import Service, eventually
from looks import look
from test_life import exporters

from otel_accubooks.contract.endpoints import DEFAULT_PREFIX, all_paths
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.process import Server
from otel_accubooks.stack.redis import Redis

HERE = Path(__file__).parent
Looks = tuple[dict[str, Any], dict[str, Any]]
ASKED = 10
JOBS = ASKED + 1  # the last tells what its process looks like
OWN_404 = "the application's own page"

APP = f"""
import flask, psycopg2, psycopg2.pool, redis, rq
from looks import look

app = flask.Flask(__name__)
pool = psycopg2.pool.ThreadedConnectionPool(1, 4, "{{dsn}}")
cache = redis.Redis.from_url("{{redis}}")
jobs = rq.Queue("jobs", connection=redis.Redis.from_url("{{redis}}"))

@app.get("/work")
def work():
    connection = pool.getconn()
    connection.cursor().execute("SELECT 1")
    pool.putconn(connection)
    cache.get("answer")
    jobs.enqueue("builtins.len", "work")
    return "done"

@app.get("/look")
def look_here():
    jobs.enqueue("looks.look")
    return flask.jsonify(look())

@app.errorhandler(404)
def not_here(_):
    return "{OWN_404}", 404
"""

# By the name of the library, which switches it off: how its metrics begin, and what is counted.
INSTRUMENTATIONS = {
    "flask": ("http_", "http_requests_total", {"route": "/work"}, ASKED),
    "psycopg2": ("db_", "db_query_duration_ms", {}, ASKED),
    "redis": ("cache_", "cache_misses_total", {}, ASKED),
    "rq": ("forecast_", "forecast_jobs_processed_total", {"status": "success"}, JOBS),
}


class Application:
    """The application, and a worker of its jobs; both tell what their process looks like."""

    def __init__(self, service: Service, postgres: Postgres, server: Redis) -> None:
        self.service = service
        self.redis = redis.Redis.from_url(server.url)
        self.redis.flushall()
        self._url = server.url
        source = APP.replace("{dsn}", postgres.dsn).replace("{redis}", server.url)
        (service.folder / "app.py").write_text(source)
        shutil.copy(HERE / "looks.py", service.folder)

    def web(self, launcher: bool = True) -> Server:
        command = ("gunicorn", "-w", "1", "-b", "127.0.0.1:{port}", "app:app")
        return self.service.server(*command, launcher=launcher)

    def asked(self) -> dict[str, Any]:
        """What the web process looks like after so many requests."""
        for _ in range(ASKED):
            assert self.service.get("/work").text == "done"
        found: dict[str, Any] = self.service.get("/look").json()
        return found

    def worked(self, launcher: bool = True) -> dict[str, Any]:
        """What a work horse looks like, once a worker has done all the jobs and ended."""
        command = ("rq", "worker", "--burst", "--url", self._url, "jobs")
        with self.service.server(*command, launcher=launcher, ready=lambda: True) as worker:
            assert eventually(lambda: not worker.running, 60)
        queue = rq.Queue("jobs", connection=self.redis)
        done = [queue.fetch_job(number) for number in queue.finished_job_registry.get_job_ids()]
        assert len(done) == JOBS
        (found,) = [job.return_value() for job in done if job.func_name == "looks.look"]
        return dict(found)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Redis]]:
    folder = tmp_path_factory.mktemp("servers")
    with Postgres(folder) as postgres, Redis(folder) as server:
        yield postgres, server


@pytest.fixture(scope="module")
def bare(servers: tuple[Postgres, Redis], tmp_path_factory: pytest.TempPathFactory) -> Looks:
    """What a web process and a work horse look like where nothing of ours was ever started."""
    with OtlpReceiver() as sink:
        application = Application(Service(tmp_path_factory.mktemp("bare"), sink), *servers)
        with application.web(launcher=False):
            web = application.asked()
        horse = application.worked(launcher=False)
    assert not web["ours"] + horse["ours"]
    return web, horse


@pytest.fixture
def application(service: Service, servers: tuple[Postgres, Redis]) -> Application:
    return Application(service, *servers)


def changed(found: dict[str, Any], bare: dict[str, Any]) -> set[str]:
    """The packages of which an attribute is another, or is there in one of the two alone."""
    one, other = found["attributes"], bare["attributes"]
    # A module that only one of them happened to import has no counterpart.
    known = {path.rpartition(".")[0] for path in one} & {path.rpartition(".")[0] for path in other}
    paths = {
        path
        for path in one.keys() | other.keys()
        if one.get(path) != other.get(path) and path.rpartition(".")[0] in known
    }
    return {path.partition(".")[0] for path in paths}


@pytest.mark.parametrize("name", INSTRUMENTATIONS)
def test_one_instrumentation(name: str, bare: Looks, application: Application) -> None:
    """Its library is as it is without us, its series are absent, and all others are exact."""
    beginning = INSTRUMENTATIONS[name][0]
    service = application.service
    service.env["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = name
    service.env["OTEL_TRACES_EXPORTER"] = "otlp"  # whose instrumentations go by the same names
    with application.web():
        web = application.asked()
        assert service.get("/api/monitoring/health").is_success == (name != "flask")
    horse = application.worked()
    service.ended()
    touched = changed(web, bare[0]) | changed(horse, bare[1])
    assert touched & INSTRUMENTATIONS.keys() == INSTRUMENTATIONS.keys() - {name}
    assert [s for s in service.sink.series() if s.name.startswith(beginning)] == []
    for other, (_, metric, labels, count) in INSTRUMENTATIONS.items():
        assert service.sink.value(metric, **labels) == (0 if other == name else count), metric


@pytest.mark.parametrize("step", ["OTEL_SDK_DISABLED", "without the launcher"])
def test_all_of_it(step: str, bare: Looks, application: Application) -> None:
    """Web process and work horse are as without us: not a function, thread, hook, file or packet."""
    service = application.service
    service.env["OTEL_SDK_DISABLED"] = "true"
    launcher = step == "OTEL_SDK_DISABLED"
    with application.web(launcher):
        web = application.asked()
        for path in ("/api/monitoring/metrics", "/api/monitoring/health"):
            assert service.get(path).text == OWN_404
        assert exporters(service) == []
    horse = application.worked(launcher)
    # What finds out that it is off; without the launcher there is not even that.
    off = ("configurator", "distro", "start", "switches")
    entries = ("", ".launch", *(f".launch.{name}" for name in off))
    for found, plain in zip((web, horse), bare, strict=True):
        assert changed(found, plain) == set()
        assert found.pop("ours") == [f"otel_accubooks{entry}" for entry in entries if launcher]
        same = found.keys() - {"attributes"}
        assert {key: found[key] for key in same} == {key: plain[key] for key in same}
    assert not service.state.exists()
    assert not service.sink.requests


def test_the_endpoints(application: Application) -> None:
    """The application answers every path itself, while all is counted and sent as before."""
    service = application.service
    service.env["OTEL_ACCUBOOKS_MONITORING_PREFIX"] = "none"
    service.env["OTEL_ACCUBOOKS_TEST_ERRORS"] = "true"
    service.env["OTEL_ACCUBOOKS_MONITORING_TOKEN"] = "secret"
    with application.web():
        web = application.asked()
        paths = [*all_paths(DEFAULT_PREFIX), "/api/test/trigger-errors"]
        for path in paths:
            assert service.get(path).text == OWN_404, path
    assert not [name for name in web["ours"] if name.startswith("otel_accubooks.monitoring")]
    application.worked()
    service.ended()
    for _, metric, labels, count in INSTRUMENTATIONS.values():
        assert service.sink.value(metric, **labels) == count, metric
    assert service.requests(status_code="404") == len(paths)


def test_this_process_can_be_looked_at() -> None:
    """What is compared above is seen: a wrapper in place of a function is another attribute."""
    before = look()
    original, redis.Redis.get = redis.Redis.get, lambda self, name: None
    try:
        # Other tests of this process may have left what changes by being looked at.
        assert "redis" in changed(look(), before)
    finally:
        redis.Redis.get = original
