"""Celery's workers, with pools of every kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest
import redis
from conftest import eventually
from models.harness import Deployed, children, kill_one, random_moments, stop_container

from otel_accubooks.stack.process import Server
from otel_accubooks.stack.redis import Redis

OPERATIONS = "tasks that succeed, fail and are tried again; counts in tasks"
EXACT = "exact"
FINISHED = "all that was finished"
POOLS = ("prefork", "threads", "solo")
PLACES = 3
KILLS = 6
RESTARTS = 1

TASKS = """
import os, time
from celery import Celery
from truth import mark, operation

HERE = os.path.dirname(os.path.abspath(__file__))
app = Celery("books", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.update(task_default_queue="books", worker_prefetch_multiplier=1)
app.conf.worker_proc_alive_timeout = 100  # or Celery kills a child that is slow to start

@app.task(bind=True, max_retries=1)
def work(self, number):
    mark("begun-attempt")
    operation("task")
    time.sleep(number % 4 / 1000)
    if number % 5 == 3:
        raise ValueError("as in life")
    if number % 5 == 4:
        raise self.retry(countdown=0)

@app.task
def wait(name):
    mark("begun-waiting")
    while not os.path.exists(os.path.join(HERE, name)):
        time.sleep(0.05)
"""

SEND = """
import sys, tasks
for number in range(int(sys.argv[1])):
    tasks.work.delay(number)
"""

# Sends tasks that are tried once, until there is a file that says that it is enough.
KEEP_SENDING = """
import os, time, tasks
from truth import mark
number = 0
while not os.path.exists("enough"):
    tasks.work.delay(number % 4)
    mark("begun-sending")
    number += 1
    time.sleep(0.01)
"""

# Counts something, as a web process does, sends tasks that wait for a file, and stays.
STAY = """
import os, time, tasks
from truth import operation
operation("request")
for number in range(12):
    tasks.wait.delay("go")
    if not number:
        while not os.path.exists("more"):
            time.sleep(0.05)
while not os.path.exists("enough"):
    time.sleep(0.05)
"""


class Books:
    """A Celery application, deployed, and what its broker and the backend say of it."""

    def __init__(self, deployed: Deployed, broker: Redis) -> None:
        self.deployed = deployed
        self.service = deployed.service
        self.truth = deployed.truth
        self.redis = redis.Redis.from_url(broker.url, decode_responses=True)
        self.service.env["BROKER"] = broker.url
        (self.service.folder / "tasks.py").write_text(TASKS)

    def worker(self, pool: str, *options: str) -> Server:
        """A worker of the application, not yet started."""
        argv = ["celery", "-A", "tasks", "worker", "-P", pool, "--loglevel", "INFO", *options]
        ready = len(self._readiness()) + 1
        return self.service.server(*argv, ready=lambda: len(self._readiness()) >= ready)

    def _readiness(self) -> list[str]:
        log = self.service.folder / "server.log"
        return (
            []
            if not log.exists()
            else [x for x in self.service.log().splitlines() if " ready." in x]
        )

    def script(self, code: str, *args: str) -> Server:
        """Another process of the same service."""
        return self.service.server("python", "-c", code, *args, ready=lambda: True)

    def say(self, word: str) -> None:
        """Lets whoever waits for this word go on."""
        (self.service.folder / word).touch()

    def states(self) -> Counter[str]:
        """What Celery has stored of how tasks ended."""
        keys = self.redis.keys("celery-task-meta-*")
        return (
            Counter(json.loads(each)["status"] for each in self.redis.mget(keys))
            if keys
            else Counter()
        )

    def counted(self, status: str) -> float:
        return self.service.sink.value(
            "forecast_jobs_processed_total", queue="books", status=status
        )

    def gauge(self, name: str) -> float | None:
        """What the backend was last told of the queue."""
        found = [s.value for s in self.service.sink.series(name, queue="books")]
        return found[-1] if found else None


@pytest.fixture
def books(deployed: Deployed, redis_server: Redis) -> Books:
    return Books(deployed, redis_server)


@pytest.mark.parametrize("pool", POOLS)
def test_a_graceful_stop(pool: str, books: Books, proves: Callable[..., None]) -> None:
    """N attempts and N counts are N in the backend, none twice, whatever the interval."""
    books.service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "600000"
    with books.worker(pool, "-c", str(PLACES)) as worker:
        with books.script(SEND, "100") as sender:
            assert eventually(lambda: not sender.running, 60)
        assert eventually(lambda: books.truth.begun("attempt") == 120, 60)
        worker.stop(30)
    books.deployed.check_exact("task")
    assert (books.counted("success"), books.counted("failure")) == (60, 20 + 2 * 20)
    for name in ("forecast_job_duration_seconds", "forecast_job_wait_time_seconds"):
        assert books.service.sink.value(name, queue="books") == 120
    proves(f"Celery {pool}", operations=OPERATIONS, graceful=EXACT)


def test_killed_children(books: Books, proves: Callable[..., None]) -> None:
    """SIGKILL of children under load: as many successes and failures as Celery itself has stored."""
    with books.worker("prefork", "-c", str(PLACES)) as worker:
        with books.script(KEEP_SENDING) as sender:
            for chance in random_moments(lambda: books.truth.begun("attempt"), KILLS):
                kill_one(chance, lambda: children(worker.pid))
            books.say("enough")
            assert eventually(lambda: not sender.running, 60)
        sent = books.truth.begun("sending")
        assert eventually(lambda: sum(books.states().values()) == sent, 60), books.states()
        worker.stop(30)
    books.deployed.check_bounds("task")
    stored = books.states()
    assert (books.counted("success"), books.counted("failure")) == (
        stored["SUCCESS"],
        stored["FAILURE"],
    )
    proves(
        "Celery prefork",
        killed=f"children: every attempt, as Celery itself has it; of counts {FINISHED}",
    )


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_killed_worker(pool: str, books: Books, proves: Callable[..., None]) -> None:
    """SIGKILL under load: no attempt is missing but those that were under way, and none is twice."""
    worker = books.worker(pool, "-c", str(PLACES)).start()
    with books.script(KEEP_SENDING) as sender:
        for _ in random_moments(lambda: books.truth.begun("attempt"), RESTARTS):
            worker.kill()
            worker = books.worker(pool, "-c", str(PLACES)).start()
        books.say("enough")
        assert eventually(lambda: not sender.running, 60)
    assert eventually(lambda: books.redis.llen("books") == 0, 60)
    worker.stop(30)
    books.deployed.check_bounds("task")
    counted = books.counted("success") + books.counted("failure")
    begun = books.truth.begun("attempt")
    assert begun - RESTARTS * PLACES <= counted <= begun
    proves(f"Celery {pool}", killed=f"the process, which is then started again: {FINISHED}")


def test_what_waits_and_who_works(books: Books) -> None:
    """Depth, age and utilization, exact over the workers of a host, and without any."""
    busy, depth, age = (
        "forecast_worker_utilization_percent",
        "forecast_queue_depth",
        "forecast_oldest_job_age_seconds",
    )
    workers = [books.worker("prefork", "-n", f"{n}@here", "-c", str(n)).start() for n in (1, 3)]
    with books.script(STAY):
        assert eventually(lambda: books.gauge(busy) == 25), books.gauge(busy)
        books.say("more")
        assert eventually(lambda: books.truth.begun("waiting") == 4)
        assert eventually(lambda: books.gauge(busy) == 100)
        assert eventually(lambda: books.gauge(depth) == books.redis.llen("books") > 0)
        assert eventually(lambda: (books.gauge(age) or 0) > 1)
        for worker in workers:
            worker.kill()
        books.say("go")
        books.redis.delete("books")
        assert eventually(lambda: books.gauge(depth) == 0)
        assert eventually(lambda: books.gauge(busy) == 0)
        books.redis.rpush("books", "{}")
        assert eventually(lambda: books.gauge(busy) == 100)
        books.say("enough")


def test_spans_of_upstream_change_no_number(books: Books) -> None:
    """OpenTelemetry's own instrumentation of Celery makes the spans, beside ours."""
    books.service.env["OTEL_TRACES_EXPORTER"] = "console"
    with books.worker("solo") as worker:
        with books.script(SEND, "10") as sender:
            assert eventually(lambda: not sender.running, 60)
        assert eventually(lambda: books.truth.begun("attempt") == 12, 60)
        worker.stop(30)
    books.deployed.check_exact("task")
    assert (books.counted("success"), books.counted("failure")) == (6, 6)
    assert "run/tasks.work" in books.service.log()
    assert "apply_async/tasks.work" in books.service.log()


def test_a_container_that_is_stopped(books: Books) -> None:
    """SIGTERM to everybody, the exporter too; SIGKILL to all once the worker has ended: all is sent."""
    books.service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "600000"
    worker = books.worker("prefork", "-c", str(PLACES)).start()
    with books.script(SEND, "10") as sender:
        assert eventually(lambda: not sender.running, 60)
    assert eventually(lambda: sum(books.states().values()) == 10, 60), books.states()
    stop_container(books.service, worker)
    assert books.deployed.counted("task") == books.truth.done("task") == 12
