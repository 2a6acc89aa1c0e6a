"""RQ, measured in real workers of every kind."""

import inspect
import os
import pickle
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import redis
import rq
from rq.job import Job

from otel_accubooks.contract.metrics import (
    BY_NAME,
    FORECAST_JOB_DURATION_SECONDS,
    FORECAST_JOB_WAIT_TIME_SECONDS,
    FORECAST_JOBS_PROCESSED_TOTAL,
)
from otel_accubooks.instrument import rq as measured
from otel_accubooks.instrument import rq_queue
from otel_accubooks.instrument.polling import Polls
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.service import ServiceReader
from tests.instrument.job_rules import job_rules

HERE = Path(__file__).parent

# What the launcher does in every Python of the service, a spawned work horse included.
LAUNCH = """
import os, wrapt
from pathlib import Path
from otel_accubooks.instrument import business
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.process import recorder

def imported(module):
    from otel_accubooks.instrument import rq
    rq.instrument(module)

recorder.folder = StateFolder(Path(os.environ["TEST_FOLDER"]))
if os.environ.get("TEST_RULES"):
    business.load_rules(Path(os.environ["TEST_RULES"]))
wrapt.register_post_import_hook(imported, "rq")
"""

FORKING = ["rq.Worker", "rq.SpawnWorker"]
WORKERS = [*FORKING, "rq.SimpleWorker", "rq_jobs.ApplicationWorker"]


@pytest.fixture
def connection(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client


class Factory:
    """A queue, workers in processes of their own, and what all of them recorded."""

    def __init__(self, folder, connection, url):
        self.folder = folder
        self.connection = connection
        self.url = url
        self.rules = ""
        (folder / "sitecustomize.py").write_text(LAUNCH)

    def queue(self, name="books"):
        return rq.Queue(name, connection=self.connection)

    def enqueue(self, function, *args, queue="books", **kwargs):
        return self.queue(queue).enqueue(f"rq_jobs.{function}", *args, **kwargs)

    def work(self, worker="rq.Worker", *queues):
        """Runs a worker until the queues are empty."""
        if self.rules:
            (self.folder / "rules.toml").write_text(self.rules)
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(HERE), str(HERE.parents[1])]),
            "TEST_FOLDER": str(self.folder / "services" / "one"),
            "TEST_RULES": str(self.folder / "rules.toml") if self.rules else "",
        }
        subprocess.run(
            [
                *(sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", self.url),
                *("--worker-class", worker, *(queues or ["books"])),
            ],
            env=env, check=True, timeout=120, capture_output=True, text=True,
        )  # fmt: skip

    def recorded(self):
        return ServiceReader(StateFolder(self.folder / "services" / "one")).read()

    def processed(self):
        """Attempts by queue and status."""
        return {p.labels: p.value for p in self.recorded().of(FORECAST_JOBS_PROCESSED_TOTAL)}

    def times(self, metric, queue="books"):
        """How often a time was recorded."""
        return sum(sum(p.counts) for p in self.recorded().of(metric) if p.labels == (queue,))

    def counts(self, name):
        """Label values and count of the series of a counter that are not 0."""
        return {p.labels: p.value for p in self.recorded().of(BY_NAME[name]) if p.value}

    def runs(self):
        """How often a job was begun, in its own words."""
        return self.connection.llen("runs")


@pytest.fixture
def factory(tmp_path, connection, redis_server):
    return Factory(tmp_path, connection, redis_server.url)


def both(success, failure, queue="books"):
    return {(queue, "success"): success, (queue, "failure"): failure}


@pytest.mark.parametrize("worker", WORKERS)
def test_every_job_is_counted_with_its_outcome(factory, worker):
    """Successes and failures, by queue, each with the time it ran and the time it waited."""
    for number in range(3):
        factory.enqueue("succeed", number)
    for _ in range(2):
        factory.enqueue("fail")
    factory.enqueue("succeed", queue="letters")
    factory.work(worker, "books", "letters")
    assert factory.processed() == both(3, 2) | both(1, 0, "letters")
    for metric in (FORECAST_JOB_DURATION_SECONDS, FORECAST_JOB_WAIT_TIME_SECONDS):
        assert (factory.times(metric), factory.times(metric, "letters")) == (5, 1)


def test_a_queue_that_is_listened_to_exists_at_0(factory):
    """Before the first job, so that the first failure is growth."""
    factory.work("rq.Worker", "books", "letters")
    assert factory.processed() == both(0, 0) | both(0, 0, "letters")


@pytest.mark.parametrize("worker", FORKING)
def test_a_killed_work_horse_is_one_failure(factory, worker):
    """The worker counts in the place of the child that could not."""
    factory.enqueue("kill_the_horse")
    factory.enqueue("succeed")
    factory.work(worker)
    assert factory.processed() == both(1, 1)
    assert factory.times(FORECAST_JOB_DURATION_SECONDS) == 2


@pytest.mark.parametrize("worker", WORKERS)
def test_a_job_that_runs_out_of_time_is_one_failure(factory, worker):
    """RQ interrupts it; its time is its limit."""
    factory.enqueue("run_out_of_time", job_timeout=1)
    factory.work(worker)
    assert factory.processed() == both(0, 1)
    (point,) = factory.recorded().of(FORECAST_JOB_DURATION_SECONDS)
    assert 1 <= point.total < 60


@pytest.mark.parametrize("worker", WORKERS)
def test_each_attempt_counts(factory, worker):
    """A job that is tried three times is three failures, and it waits three times."""
    factory.enqueue("fail", retry=rq.Retry(max=2))
    factory.work(worker)
    assert factory.runs() == 3
    assert factory.processed() == both(0, 3)
    assert factory.times(FORECAST_JOB_WAIT_TIME_SECONDS) == 3


@pytest.mark.parametrize("worker", WORKERS)
def test_a_job_that_returns_a_retry_has_failed_that_time(factory, worker):
    """RQ counts it as failed, too; what counts as success is the attempt that did the work."""
    factory.enqueue("ask_for_another_try")
    factory.work(worker)
    assert factory.runs() == 2
    assert factory.processed() == both(1, 1)


@pytest.mark.parametrize("worker", WORKERS)
def test_a_job_whose_callback_raises_is_one_failure(factory, worker):
    """Its function succeeded; to RQ it has failed."""
    job = factory.enqueue("succeed", on_success=rq.Callback("rq_jobs.refuse"))
    factory.work(worker)
    assert job.get_status() == "failed"
    assert factory.processed() == both(0, 1)


@pytest.mark.parametrize("worker", WORKERS)
def test_a_result_that_cannot_be_stored_is_counted_as_rq_has_it(factory, worker):
    """A version of RQ may call that a success or a failure: it is one of them, once."""
    job = factory.enqueue("return_a_lock")
    factory.work(worker)
    success = job.get_status() == "finished"
    assert factory.processed() == both(int(success), int(not success))


def test_a_horse_that_dies_after_its_success_is_one_success(factory):
    """The result was stored: the worker sees that, and counts it."""
    job = factory.enqueue("succeed_then_die")
    factory.work()
    assert job.get_status() == "finished"
    assert factory.processed() == both(1, 0)


@pytest.mark.parametrize("worker", ["rq_jobs.DyingWorker", "rq_jobs.DyingSpawnWorker"])
def test_a_horse_that_dies_after_its_failure_is_counted_once(factory, worker):
    """RQ deals with such a failure twice, in the horse and in the worker; it was one attempt."""
    factory.enqueue("fail", retry=rq.Retry(max=1))
    factory.work(worker)
    assert factory.runs() >= 2
    assert factory.processed() == both(0, factory.runs())


def test_waiting_ends_when_the_job_begins(factory):
    """It is the time since the job was put into the queue, an hour ago, not since it was made."""
    job = factory.enqueue("succeed")
    hour_ago = datetime.now(timezone.utc) - timedelta(hours=1)
    factory.connection.hset(job.key, "enqueued_at", f"{hour_ago:%Y-%m-%dT%H:%M:%S.%fZ}")
    factory.work()
    (point,) = factory.recorded().of(FORECAST_JOB_WAIT_TIME_SECONDS)
    assert 3600 <= point.total < 7200


@pytest.mark.parametrize("worker", WORKERS)
def test_the_traceback_of_a_job_is_its_own(factory, worker):
    """What RQ stores of a failure has no line of ours in it."""
    job = factory.enqueue("fail")
    factory.work(worker)
    told = job.latest_result().exc_string
    assert "LedgerError: wrong" in told
    assert "otel_accubooks" not in told.replace("rq_jobs", "")


RULES = job_rules("rq_jobs", failing="fail")


@pytest.mark.parametrize("worker", WORKERS)
def test_rules_count_jobs_by_function_and_outcome(factory, worker):
    """Labels come from the arguments, the meta data and the result; an exception counts once."""
    factory.rules = RULES
    factory.enqueue("succeed", 7, tier="PRO", meta={"tier": "FREE"})
    factory.enqueue("succeed", 8, tier="GOLD")
    factory.enqueue("fail", retry=rq.Retry(max=1))
    factory.enqueue("do_nothing")
    factory.work(worker)
    assert factory.counts("forecasts_generated_total") == {("PRO",): 1, ("unknown",): 1}
    assert factory.counts("scenarios_created_total") == {("PRO",): 1, ("unknown",): 1}
    assert factory.counts("tier_limit_hits_total") == {("FREE", "7"): 1, ("unknown", "8"): 1}
    assert factory.counts("support_tickets_total") == {("high",): 2}
    assert factory.counts("calculation_errors_total") == {("ledger",): 2}


@pytest.fixture
def patched(recorded, monkeypatch):
    """RQ of this process, measured."""
    monkeypatch.setattr(rq_queue, "polls", Polls())
    monkeypatch.setattr(rq_queue, "_watched", set())
    patches = measured.instrument(rq)
    yield rq_queue.polls
    patches.restore()


def local(name):
    """A job function of this process, for queues that run their jobs at once."""
    sys.path.insert(0, str(HERE))
    try:
        import rq_jobs
    finally:
        sys.path.remove(str(HERE))
    return getattr(rq_jobs, name)


def test_a_queue_that_runs_its_jobs_at_once_is_counted(patched, recorded, connection):
    """Without a worker, in the process that enqueues."""
    queue = rq.Queue("books", connection=connection, is_async=False)
    assert queue.enqueue(local("succeed"), 5).get_status() == "finished"
    assert queue.enqueue(local("fail")).get_status() == "failed"
    found = {p.labels: p.value for p in recorded().of(FORECAST_JOBS_PROCESSED_TOTAL)}
    assert found == both(1, 1)


def test_the_queues_of_a_worker_are_announced_in_its_children_too(patched, recorded, monkeypatch):
    """Each segment has them at 0, whatever is recorded in it first."""
    monkeypatch.setattr(measured, "_listened_to", {"books"})
    recorder.counter(BY_NAME["cache_hits_total"]).labels().add()
    found = {p.labels: p.value for p in recorded().of(FORECAST_JOBS_PROCESSED_TOTAL)}
    assert found == both(0, 0)


def test_names_types_and_pickles_are_as_before(patched, connection):
    """Nothing that an application can see is another."""
    assert pickle.loads(pickle.dumps(rq.Worker)) is rq.Worker
    assert rq.Worker.perform_job.__name__ == "perform_job"
    assert list(inspect.signature(rq.Queue.enqueue_job).parameters)[:2] == ["self", "job"]
    job = rq.Queue("books", connection=connection).enqueue("rq_jobs.succeed")
    assert type(job) is Job
    assert not any("otel" in name for name in vars(job))
    assert Job.fetch(job.id, connection=connection).func_name == "rq_jobs.succeed"


def test_restoring_puts_everything_back(recorded):
    """Afterwards RQ is what it was."""
    before = {c: dict(vars(c)) for c in (*rq.SpawnWorker.__mro__, rq.Queue) if c is not object}
    measured.instrument(rq).restore()
    assert {c: dict(vars(c)) for c in before} == before


def test_a_hook_that_fails_does_not_touch_the_job(patched, connection, monkeypatch, caplog):
    """It is logged once, and the job is done."""
    monkeypatch.setattr(measured, "_processed", None)
    monkeypatch.setattr(measured, "_waits", None)
    monkeypatch.setattr(measured, "watch", None)
    queue = rq.Queue("books", connection=connection)
    job = queue.enqueue(local("succeed"), 5)
    rq.SimpleWorker([queue], connection=connection).work(burst=True, logging_level="WARNING")
    assert job.get_status() == "finished"
    assert any("recording a job failed" in record.getMessage() for record in caplog.records)
