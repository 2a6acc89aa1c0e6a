"""Traces, once they are asked for: the spans of every process, and the metrics as without them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from conftest import Service, eventually

from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.redis import Redis

APP = """
import os

import psycopg2
import redis
from flask import Flask

app = Flask(__name__)
cache = redis.Redis.from_url(os.environ["REDIS_URL"])

@app.get("/hello/<name>")
def hello(name):
    return f"hello {name}"

@app.get("/boom")
def boom():
    raise RuntimeError("as in life")

@app.get("/stream")
def stream():
    return iter([b"a", b"b"])

@app.get("/work/<int:number>")
def work(number):
    with psycopg2.connect(os.environ["DATABASE_URL"]) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", (number,))
            cursor.fetchone()
            cursor.execute("CREATE TEMP TABLE t (n int)")
            cursor.executemany("INSERT INTO t VALUES (%s)", [(1,), (2,)])
    connection.close()
    cache.get("no such key")
    cache.set(f"key-{number}", "x")
    cache.get(f"key-{number}")
    pipe = cache.pipeline()
    pipe.get("a").mget("a", f"key-{number}").execute()
    return "done"
"""

# What a request to an application under the launcher makes, at these levels of the contract.
GROUPS = ("http_", "db_query", "db_conn", "db_pool", "cache_hits", "cache_misses", "cache_oper")


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("dependencies")
    with Postgres(folder / "postgres") as postgres, Redis(folder / "redis") as redis:
        yield {"DATABASE_URL": postgres.dsn, "REDIS_URL": redis.url}


def traced(service: Service, dependencies: dict[str, str], **settings: str) -> None:
    service.env |= {**dependencies, "OTEL_TRACES_EXPORTER": "otlp", **settings}
    (service.folder / "app.py").write_text(APP)


def some_requests(service: Service) -> None:
    for number in range(12):
        service.get(f"/hello/{number}")
        service.get(f"/work/{number}")
    for path in ("/boom", "/stream", "/nowhere"):
        service.get(path)


def counts(sink: OtlpReceiver) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What every counter and histogram of the API, the database and the cache has counted."""
    return {
        (series.name, frozenset(series.attributes.items())): series.value
        for series in sink.series()
        if series.kind in ("sum", "histogram") and series.name.startswith(GROUPS)
    }


def test_the_metrics_are_the_same_with_and_without_traces(
    service: Service, dependencies: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Number for number, and no series beside those of the contract; spans come of all libraries."""
    traced(service, dependencies)
    with service.gunicorn("-w", "2"):
        some_requests(service)
    with OtlpReceiver() as sink:
        bare = Service(tmp_path_factory.mktemp("bare"), sink)
        traced(bare, dependencies, OTEL_TRACES_EXPORTER="none")
        with bare.gunicorn("-w", "2"):
            some_requests(bare)
        without = counts(sink)
    assert without
    assert counts(service.sink) == without
    assert {series.name for series in service.sink.series()} <= BY_NAME.keys()
    made_by = Counter(span.scope.rpartition(".")[2] for span in service.sink.spans())
    assert made_by["flask"] == 27
    assert made_by["psycopg2"] == 36
    assert made_by["redis"] == 48


@pytest.mark.parametrize("options", [[], ["--preload"]])
def test_the_spans_of_all_workers_arrive(
    service: Service, dependencies: dict[str, str], options: list[str]
) -> None:
    """Also those of the last second of a worker; they carry the instance id of the metrics."""
    traced(service, dependencies)
    (service.folder / "app.py").write_text(
        APP
        + "from opentelemetry import trace\n"
        + "with trace.get_tracer('mine').start_as_current_span('at import'):\n"
        + "    cache.get('at import')\n"
        + "@app.get('/pid')\n"
        + "def pid():\n"
        + "    trace.get_current_span().set_attribute('pid', os.getpid())\n"
        + "    return str(os.getpid())\n"
    )
    with service.gunicorn("-w", "2", "--max-requests", "15", *options):
        answered = Counter(service.get("/pid").text for _ in range(40))
    spans = Counter(str(s.attributes["pid"]) for s in service.sink.spans("GET /pid"))
    assert spans == answered
    assert len(spans) > 2
    imports = 1 if options else len(spans)
    assert len(service.sink.spans("at import")) >= imports
    ours = {series.instance for series in service.sink.series("http_requests_total")}
    assert {span.instance for span in service.sink.spans("GET /pid")} == ours


def test_exemplars_link_to_spans_that_were_sent(
    service: Service, dependencies: dict[str, str]
) -> None:
    """Requests, also streamed ones, queries and cache operations each point to their own span."""
    traced(service, dependencies)
    with service.gunicorn("-w", "2"):
        some_requests(service)
        page = service.get("/api/monitoring/metrics").text
    of_span = {span.span_id: span for span in service.sink.spans()}
    found: dict[str, set[str]] = {}
    for series in service.sink.series():
        for trace_id, span_id, value in series.exemplars:
            span = of_span[span_id]
            assert (span.trace_id, value >= 0) == (trace_id, True)
            found.setdefault(series.name, set()).add(span.name)
    assert found["http_request_duration_ms"] >= {
        "GET /hello/<name>",
        "GET /work/<int:number>",
        "GET /stream",
        "GET /boom",
    }
    assert found["db_query_duration_ms"] >= {"SELECT", "INSERT"}
    assert found["cache_operation_duration_ms"] >= {"GET", "SET"}
    assert "http_requests_total" in page


@pytest.mark.parametrize(
    ("settings", "spans", "exemplars"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False, False),
        ({"OTEL_METRICS_EXEMPLAR_FILTER": "always_off"}, True, False),
    ],
)
def test_samplers_and_filters_are_respected(
    service: Service,
    dependencies: dict[str, str],
    settings: dict[str, str],
    spans: bool,
    exemplars: bool,
) -> None:
    """What is not sampled is neither sent nor linked to; the filter says what is linked to."""
    traced(service, dependencies, **settings)
    with service.gunicorn("-w", "1"):
        some_requests(service)
    assert bool(service.sink.spans()) == spans
    assert any(series.exemplars for series in service.sink.series()) == exemplars
    assert service.requests(route="/hello/<name>") == 12


def test_an_instrumentation_is_switched_off_by_its_name(
    service: Service, dependencies: dict[str, str]
) -> None:
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=redis: neither spans nor metrics of it, all of others."""
    traced(service, dependencies, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="redis")
    with service.gunicorn("-w", "1"):
        some_requests(service)
    made_by = {span.scope.rpartition(".")[2] for span in service.sink.spans()}
    assert made_by == {"flask", "psycopg2"}
    assert service.sink.value("cache_operation_duration_ms") == 0
    assert service.requests(route="/hello/<name>") == 12


def test_a_receiver_that_takes_no_spans_is_told_of_once(
    service: Service, dependencies: dict[str, str]
) -> None:
    """One line for all workers, however many batches are refused; the metrics go on."""
    nowhere = f"{service.sink.endpoint}/none/v1/traces"
    traced(
        service,
        dependencies,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=nowhere,
        OTEL_BSP_SCHEDULE_DELAY="200",
    )
    with service.gunicorn("-w", "3"):
        for _ in range(20):
            some_requests(service)
            if service.sink.requests["POST", "/none/v1/traces", 404] > 5:
                break
    told = [line for line in service.log().splitlines() if "spans" in line]
    assert len(told) == 1
    assert "spans are not arriving" in told[0]
    assert "nothing there takes them: OTEL_TRACES_EXPORTER=none ends the attempts" in told[0]
    assert service.requests(route="/boom") > 0


def test_what_a_job_does_is_traced(service: Service, dependencies: dict[str, str]) -> None:
    """Spans inside a work horse arrive, although it ends without any clean-up."""
    (service.folder / "jobs.py").write_text(
        "import os, redis\n"
        "from opentelemetry import trace\n"
        "def job(number):\n"
        "    with trace.get_tracer('mine').start_as_current_span('in a job'):\n"
        "        redis.Redis.from_url(os.environ['REDIS_URL']).set('job', number)\n"
    )
    service.env |= {**dependencies, "OTEL_TRACES_EXPORTER": "otlp", "PYTHONPATH": "."}
    enqueue = (
        "import os; from redis import Redis; from rq import Queue; "
        "queue = Queue('traced', connection=Redis.from_url(os.environ['REDIS_URL'])); "
        "[queue.enqueue('jobs.job', n) for n in range(3)]"
    )
    argv = [sys.executable, "-c", enqueue]
    subprocess.run(argv, env=service.env, cwd=service.folder, check=True, timeout=60)
    worker = ["rq", "worker", "--url", dependencies["REDIS_URL"], "traced"]
    with service.server(*worker, ready=lambda: True):
        assert eventually(lambda: len(service.sink.spans("in a job")) == 3, 60)
    inside = {span.trace_id for span in service.sink.spans("in a job")}
    sets = {span.trace_id for span in service.sink.spans("SET")}
    assert inside <= sets


def test_what_a_celery_task_does_is_traced(service: Service, dependencies: dict[str, str]) -> None:
    """Upstream's span of each task and those inside it arrive, and what the task itself measured.

    The pool's processes end without the usual clean-up.
    """
    (service.folder / "tasks.py").write_text(
        "import os\n"
        "from celery import Celery\n"
        "from opentelemetry import metrics, trace\n"
        "app = Celery('tasks', broker=os.environ['REDIS_URL'], backend=os.environ['REDIS_URL'])\n"
        "counter = metrics.get_meter('mine').create_counter('tasks_done')\n"
        "@app.task\n"
        "def task(number):\n"
        "    with trace.get_tracer('mine').start_as_current_span('in a task'):\n"
        "        counter.add(1)\n"
    )
    service.env |= {**dependencies, "OTEL_METRIC_EXPORT_INTERVAL": "600000"}
    service.env["OTEL_TRACES_EXPORTER"] = "otlp"
    ask = "import tasks; [r.get(timeout=60) for r in [tasks.task.delay(n) for n in range(6)]]"
    argv = ["celery", "-A", "tasks", "worker", "-c", "2"]
    with service.server(*argv, ready=lambda: True):
        subprocess.run(
            [sys.executable, "-c", ask], env=service.env, cwd=service.folder, check=True, timeout=90
        )
    inside = {span.trace_id for span in service.sink.spans("in a task")}
    assert len(inside) == 6
    assert {span.trace_id for span in service.sink.spans("run/tasks.task")} == inside
    assert service.sink.value("tasks_done") == 6
