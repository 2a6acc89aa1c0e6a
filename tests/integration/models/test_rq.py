"""Workers of RQ: what they count of a job, and what the job counts itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import redis
import rq
from conftest import eventually
from models.harness import Deployed, children, kill_one, random_moments, stop_container
from test_life import last_export

from otel_accubooks.stack.process import Server
from otel_accubooks.stack.redis import Redis

OPERATIONS = "jobs; counts in jobs, and at the import of their module"
KINDS = ("import", "job")
JOBS = """
import time
from truth import operation

operation("import")

def do(number):
    operation("job")
    time.sleep(number % 4 / 1000)
"""


class Jobs:
    """A queue of jobs, and workers for it."""

    def __init__(self, deployed: Deployed, server: Redis) -> None:
        self._deployed = deployed
        self._url = server.url
        self._connection = redis.Redis.from_url(server.url)
        self.queue = rq.Queue("forecasts", connection=self._connection)
        self.enqueued = 0
        (deployed.service.folder / "jobs.py").write_text(JOBS)

    def enqueue(self, number: int) -> None:
        for _ in range(number):
            self.queue.enqueue("jobs.do", self.enqueued)
            self.enqueued += 1

    def worker(self, name: str) -> Server:
        known = rq.Worker.count(self._connection)
        return self._deployed.service.server(
            *("rq", "worker", "--url", self._url, "--worker-class", f"rq.{name}", "forecasts"),
            ready=lambda: rq.Worker.count(self._connection) > known,
        )

    def succeeded(self) -> int:
        return self.queue.finished_job_registry.count

    def failed(self) -> int:
        return self.queue.failed_job_registry.count

    def ended(self) -> int:
        """How many jobs have come to an end; sees to it that there are always more."""
        self.enqueue(3 - min(3, self.queue.count))
        return self.succeeded() + self.failed()

    def counted(self, **labels: str) -> float:
        return self._deployed.service.sink.value("forecast_jobs_processed_total", **labels)


@pytest.fixture
def jobs(deployed: Deployed, redis_server: Redis) -> Jobs:
    return Jobs(deployed, redis_server)


@dataclass(frozen=True)
class Model:
    """A class of workers: how many jobs it gets, how often and how far apart something is killed."""

    name: str
    jobs: int
    kills: int = 5
    apart: tuple[int, int] = (2, 6)
    within: float = 0.02
    notes: str = ""


WORKER = Model("Worker", 40, notes="a work horse for each job, which ends by `os._exit`")
# A spawned work horse is a new Python, which takes a while to start.
SPAWNING = Model("SpawnWorker", 4, 3, (1, 1), 1.0, notes="a new Python for each job")
SIMPLE = Model("SimpleWorker", 40, 3, (5, 15), notes="jobs run in the worker itself")


@pytest.mark.parametrize("model", [WORKER, SPAWNING, SIMPLE], ids=lambda model: model.name)
def test_a_graceful_stop(
    model: Model, deployed: Deployed, jobs: Jobs, proves: Callable[..., None]
) -> None:
    """SIGTERM amid the jobs: those that were done are counted once, by the worker and by the jobs."""
    jobs.enqueue(model.jobs)
    with jobs.worker(model.name) as worker:
        assert eventually(lambda: deployed.truth.begun("job") >= model.jobs // 2, 60)
        worker.stop(60)
    deployed.check_exact(*KINDS)
    assert jobs.counted(status="success") == deployed.truth.done("job") == jobs.succeeded()
    assert jobs.counted() == jobs.counted(status="success")
    proves(f"RQ {model.name}", operations=OPERATIONS, graceful="exact", notes=model.notes)


@pytest.mark.parametrize("model", [WORKER, SPAWNING], ids=lambda model: model.name)
def test_killed_work_horses(
    model: Model, deployed: Deployed, jobs: Jobs, proves: Callable[..., None]
) -> None:
    """Every job counts once, as what RQ itself has it, whenever its work horse was killed."""
    with jobs.worker(model.name) as worker:
        moments = random_moments(jobs.ended, model.kills, apart=model.apart, within=model.within)
        for chance in moments:
            kill_one(chance, lambda: children(worker.pid) if jobs.ended() else [])
        assert eventually(lambda: jobs.succeeded() + jobs.failed() == jobs.enqueued, 60)
        worker.stop(60)
    deployed.check_bounds(*KINDS)
    assert jobs.counted(status="success") == jobs.succeeded()
    assert jobs.counted(status="failure") == jobs.failed()
    assert jobs.counted() == jobs.enqueued
    killed = (
        "work horses: every job exactly, as success or failure; in the job all that was finished"
    )
    proves(f"RQ {model.name}", killed=killed)


def test_a_killed_worker_without_work_horses(
    deployed: Deployed, jobs: Jobs, proves: Callable[..., None]
) -> None:
    """SimpleWorker: jobs count once; one whose result had just been stored is left out at most."""
    worker = jobs.worker(SIMPLE.name).start()
    for _ in random_moments(jobs.ended, SIMPLE.kills, apart=SIMPLE.apart):
        worker.kill()
        worker = jobs.worker(SIMPLE.name).start()
    assert eventually(lambda: jobs.queue.count == 0, 60)
    worker.stop(60)
    deployed.check_bounds(*KINDS)
    assert jobs.succeeded() - SIMPLE.kills <= jobs.counted() <= deployed.truth.begun("job")
    killed = (
        "the process, which is then started again: all that was finished, but for a job "
        "between the storing of its result and the kill"
    )
    proves(f"RQ {SIMPLE.name}", killed=killed)


def test_a_container_that_is_stopped(deployed: Deployed, jobs: Jobs) -> None:
    """SIGTERM to everybody, the exporter too; SIGKILL to all once the worker has ended: all is sent."""
    deployed.service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "600000"
    worker = jobs.worker(WORKER.name).start()
    assert eventually(lambda: last_export(deployed.service), 60)
    jobs.enqueue(10)
    assert eventually(lambda: jobs.succeeded() == 10, 60)
    stop_container(deployed.service, worker)
    assert jobs.counted(status="success") == deployed.counted("job") == 10
