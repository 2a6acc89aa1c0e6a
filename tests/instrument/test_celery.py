"""Celery, measured in real workers with pools of every kind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import celery.app.trace
import pytest
import redis
from celery import Celery

from otel_accubooks.contract.metrics import (
    BY_NAME,
    FORECAST_JOB_DURATION_SECONDS,
    FORECAST_JOB_WAIT_TIME_SECONDS,
    FORECAST_JOBS_PROCESSED_TOTAL,
)
from otel_accubooks.instrument import celery as measured
from otel_accubooks.instrument import celery_prefork, celery_worker
from otel_accubooks.instrument.celery_queue import READY_AT
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.service import ServiceReader
from tests.instrument.job_rules import job_rules

HERE = Path(__file__).parent

# What the launcher does in every Python of the service, a spawned child included.
LAUNCH = """
import os, wrapt
from importlib import import_module
from pathlib import Path
from otel_accubooks.instrument import business
from otel_accubooks.launch.instrumentors import CeleryInstrumentor
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.process import recorder

recorder.folder = StateFolder(Path(os.environ["TEST_FOLDER"]))
business.load_rules(Path(os.environ["TEST_RULES"]))
for library, ours in CeleryInstrumentor.libraries.items():
    wrapt.register_post_import_hook(
        lambda module, ours=ours: import_module(ours).instrument(module), library
    )
"""

RULES = job_rules("celery_tasks", failing="kill_the_process")

# Sent by an application without us, and by one that sent an hour ago.
SEND = """
import sys, time
import celery_tasks as t
from celery import signals

def send(*names):
    return [getattr(t, name).delay().id for name in names]

if sys.argv[1] == "bare":
    send("succeed")
    sys.exit()
t.succeed.apply_async((7,), {"tier": "PRO"}, headers={"tier": "FREE"})
t.succeed.apply_async((8,), {"tier": "GOLD"})
send("fail", "fail", "ask_for_another_try", "ignore", "reject", "return_a_lock")
send("come_too_late")
print(*send("show_headers"))

@signals.before_task_publish.connect
def long_ago(headers, **_):
    headers["@READY_AT@"] -= 3600

t.succeed.apply_async(queue="hour ago")
signals.before_task_publish.disconnect(long_ago)
send(*sys.argv[2:])
""".replace("@READY_AT@", READY_AT)

REVOKE = """
import sys, celery_tasks
celery_tasks.app.control.revoke(sys.argv[1], terminate=True)
"""

IN_PROCESS = {
    "succeed": (3, 0),
    "fail": (0, 2),
    "ask_for_another_try": (0, 3),
    "ignore": (1, 0),
    "reject": (0, 1),
    "return_a_lock": (0, 1),
    "show_headers": (1, 0),
    "come_too_late": (0, 0),
    "hour ago": (1, 0),
}
IN_CHILDREN = {
    "kill_the_process": (0, 1),
    "kill_the_process_once": (1, 1),
    "succeed_then_die": (1, 0),
    "be_interrupted": (0, 1),
    "run_out_of_time": (0, 1),
    "be_terminated": (0, 1),
}
# Threads and the worker's own process are in tests/integration/models. To spawn a child takes long.
POOLS = {
    "prefork": IN_CHILDREN,
    "spawned": {name: IN_CHILDREN[name] for name in ("kill_the_process", "run_out_of_time")},
    "gevent": {},
}


class Worked:
    """A worker that had tasks of every fate and has ended, and what was recorded of it."""

    def __init__(self, pool, folder, url):
        self.pool = pool
        self.expected = IN_PROCESS | POOLS[pool]
        self.redis = redis.Redis.from_url(url, decode_responses=True)
        self._folder = StateFolder(folder / "services" / "one")
        (folder / "sitecustomize.py").write_text(LAUNCH)
        (folder / "rules.toml").write_text(RULES)
        self._bare = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
            "TEST_REDIS": url,
            "TEST_FOLDER": str(self._folder.path),
            "TEST_RULES": str(folder / "rules.toml"),
            "TEST_START_METHOD": "spawn" if pool == "spawned" else "fork",
        }
        self._measured = {**self._bare, "PYTHONPATH": f"{folder}:{self._bare['PYTHONPATH']}"}
        self.log = folder / "worker.log"

    def work(self):
        """Runs the worker until all attempts were counted, and ends it."""
        self._python(self._bare, SEND, "bare")
        self.headers_task = self._python(self._measured, SEND, "", *POOLS[self.pool])
        with self.log.open("w") as log:
            argv = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-c", "2"]
            argv += ["-P", "prefork" if POOLS[self.pool] else self.pool]
            argv += ["-Q", ",".join(self.expected), "--loglevel", "INFO"]
            worker = subprocess.Popen(argv, env=self._measured, stdout=log, stderr=log)
            try:
                if "be_terminated" in self.expected:
                    self._until(lambda: self.redis.exists("to be terminated"))
                    code = REVOKE
                    self._python(self._bare, code, self.redis.get("to be terminated"))
                attempts = sum(map(sum, self.expected.values()))
                self._until(lambda: sum(self.processed().values()) >= attempts)
                worker.send_signal(signal.SIGTERM)
                worker.wait(60)
            finally:
                worker.kill()
                worker.wait()
        self.text = self.log.read_text()

    def _python(self, env, code, *args):
        argv = [sys.executable, "-c", code, *args]
        done = subprocess.run(argv, env=env, check=True, timeout=60, capture_output=True, text=True)
        return done.stdout.strip()

    def _until(self, condition):
        give_up = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < give_up, f"{self.processed()}\n{self.log.read_text()}"
            time.sleep(0.05)

    def recorded(self):
        return ServiceReader(self._folder).read()

    def processed(self):
        """Attempts by queue and status."""
        return {p.labels: p.value for p in self.recorded().of(FORECAST_JOBS_PROCESSED_TOTAL)}

    def times(self, metric):
        """How often a time was recorded, by queue."""
        return {p.labels[0]: sum(p.counts) for p in self.recorded().of(metric)}

    def counts(self, name):
        """Label values and count of the series of a counter that are not 0."""
        return {p.labels: p.value for p in self.recorded().of(BY_NAME[name]) if p.value}

    def result(self, task):
        """What Celery has stored of a task."""
        return json.loads(self.redis.get(f"celery-task-meta-{task}"))


@pytest.fixture(scope="module", params=POOLS)
def worked(request, tmp_path_factory, redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    made = Worked(request.param, tmp_path_factory.mktemp(request.param), redis_server.url)
    made.work()
    return made


def test_every_attempt_is_counted_with_its_outcome(worked):
    """Once each, by queue, whoever ended it and how; what never ran is not counted."""
    success = {(queue, "success"): s for queue, (s, _) in worked.expected.items()}
    failure = {(queue, "failure"): f for queue, (_, f) in worked.expected.items()}
    assert worked.processed() == success | failure


def test_every_attempt_has_the_time_that_it_ran(worked):
    """One time for each attempt, also where its process was killed."""
    attempts = {queue: sum(both) for queue, both in worked.expected.items() if sum(both)}
    assert worked.times(FORECAST_JOB_DURATION_SECONDS) == attempts


def test_every_attempt_has_the_time_that_it_waited(worked):
    """From when it was sent: an hour ago; not where nobody said when that was, or it came again."""
    attempts = {queue: sum(both) for queue, both in worked.expected.items() if sum(both)}
    attempts["succeed"] -= 1  # sent without us
    if "kill_the_process_once" in attempts:
        attempts["kill_the_process_once"] -= 1
    assert worked.times(FORECAST_JOB_WAIT_TIME_SECONDS) == attempts
    for point in worked.recorded().of(FORECAST_JOB_WAIT_TIME_SECONDS):
        long_ago = point.labels == ("hour ago",)
        assert 3600 <= point.total < 7200 if long_ago else point.total < 3600


def test_rules_count_tasks_by_name_and_outcome(worked):
    """Labels come from the arguments, the headers and the result; an exception counts once."""
    tiers = {("PRO",): 1, ("unknown",): 3}
    assert worked.counts("forecasts_generated_total") == tiers
    assert worked.counts("scenarios_created_total") == {("FREE",): 2, ("PRO",): 1, ("unknown",): 1}
    assert worked.counts("tier_limit_hits_total") == {
        ("FREE", "7"): 1,
        ("unknown", "8"): 1,
        ("unknown", "unknown"): 2,
    }
    assert worked.counts("support_tickets_total") == ({("high",): 1} if POOLS[worked.pool] else {})
    assert worked.counts("calculation_errors_total") == {("ledger",): 5}


def test_a_task_does_not_see_our_header(worked):
    """Celery shows an application all headers that are not its own."""
    assert worked.result(worked.headers_task)["result"] is None


def test_the_traceback_of_a_task_is_its_own(worked):
    """What Celery stores of a failure has no line of ours in it, and nothing of ours has failed."""
    failed = [
        json.loads(self) for self in map(worked.redis.get, worked.redis.keys("celery-task-meta-*"))
    ]
    told = [
        each["traceback"] for each in failed if "LedgerError: wrong" in (each["traceback"] or "")
    ]
    assert len(told) == 2
    assert "otel_accubooks" not in "".join(told)
    assert "otel-accubooks" not in worked.text


@pytest.fixture
def app(recorded, monkeypatch):
    """An application whose tasks are measured in this process."""
    patches = measured.instrument(celery.app.trace)
    made = Celery("books", set_as_current=False)
    made.conf.task_always_eager = True
    yield made
    patches.restore()


def run(task, **request):
    """Runs a task as a worker does, in this process."""
    request = {"id": "1", "delivery_info": {"routing_key": "books"}, **request}
    return celery.app.trace.trace_task(task, "1", (), {}, request, app=task.app)


def test_what_is_not_queued_is_not_counted(app, recorded):
    """`apply`, a direct call, and tasks of an application that always runs them at once."""

    @app.task(name="books.add")
    def add():
        return 3

    assert add.apply().get() == add.delay().get() == add() == 3
    assert not list(recorded().of(FORECAST_JOBS_PROCESSED_TOTAL))
    run(add)
    assert [p.labels for p in recorded().of(FORECAST_JOBS_PROCESSED_TOTAL)] == [
        ("books", "success")
    ]


def test_a_run_without_an_outcome_is_one_failure(app, recorded):
    """What ends a process goes through Celery without a word, and through us."""

    @app.task(name="books.leave")
    def leave():
        raise SystemExit

    with pytest.raises(SystemExit):
        run(leave)
    assert [p.labels for p in recorded().of(FORECAST_JOBS_PROCESSED_TOTAL)] == [
        ("books", "failure")
    ]


def test_a_hook_that_fails_does_not_touch_the_task(app, recorded, monkeypatch, caplog):
    """It is logged once, and the task is done."""
    for name in ("_processed", "_waits", "queue_of"):
        monkeypatch.setattr(measured, name, None)

    @app.task(name="books.add")
    def add():
        return 3

    assert run(add)[0] == 3
    assert any(
        "recording the end of a task failed" in record.getMessage() for record in caplog.records
    )


def test_restoring_puts_everything_back():
    """Afterwards Celery is what it was, also where it had been imported before."""
    import celery.concurrency.prefork as prefork
    import celery.worker.consumer.consumer as consumer
    import celery.worker.consumer.tasks as tasks
    from celery.worker.request import Request

    def all_of_it():
        owners = (celery.app.trace, consumer, prefork.TaskPool, Request, tasks.Tasks)
        return {owner: dict(vars(owner)) for owner in owners}

    before = all_of_it()
    made = [
        measured.instrument(celery.app.trace),
        celery_prefork.instrument(prefork),
        celery_worker.instrument(tasks),
    ]
    for owner, was in before.items():
        assert dict(vars(owner)) != was
    for patches in made:
        patches.restore()
    assert all_of_it() == before
