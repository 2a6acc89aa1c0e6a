"""Tasks of every fate, for workers in processes of their own. Each has a queue of its name."""

import os
import signal
import threading
import time

import redis
from celery import Celery, Task
from celery.exceptions import Ignore, Reject


def queue_of(name, *_, **__):
    """The queue of a task: its own name."""
    return {"queue": name.rpartition(".")[2]}


app = Celery("books", broker=os.environ["TEST_REDIS"], backend=os.environ["TEST_REDIS"])
app.conf.update(
    task_default_queue="succeed",
    task_routes=queue_of,
    task_send_sent_event=False,
    worker_proc_alive_timeout=100,  # or Celery kills a child that is slow to start
    worker_pool_start_method=os.environ.get("TEST_START_METHOD", "fork"),
)


class LedgerError(Exception):
    """What the books may raise."""


def note_the_run(task):
    """Notes that the task runs; says how often it did before."""
    with redis.Redis.from_url(os.environ["TEST_REDIS"]) as client:
        return client.incr(f"runs {task.name.rpartition('.')[2]}") - 1


class Noted(Task):
    """A task of the application's own class, which notes each run."""

    def __call__(self, *args, **kwargs):
        note_the_run(self)
        return self.run(*args, **kwargs)


@app.task(base=Noted)
def succeed(number=1, *, tier="FREE"):
    """Succeeds."""
    return {"number": number, "plan": {"tier": tier}}


@app.task(base=Noted)
def fail():
    """Raises an exception of the application."""
    raise LedgerError("wrong")


@app.task(base=Noted, bind=True, max_retries=2)
def ask_for_another_try(self):
    """Is tried three times, in vain."""
    raise self.retry(exc=LedgerError("not yet"), countdown=0)


@app.task(base=Noted)
def ignore():
    """Is done with its work, and says so by an exception."""
    raise Ignore


@app.task(base=Noted)
def reject():
    """Does not want its message."""
    raise Reject("wrong", requeue=False)


@app.task(base=Noted)
def return_a_lock():
    """Returns what cannot be stored."""
    return threading.Lock()


@app.task(base=Noted, bind=True)
def show_headers(self):
    """Returns what it is told of headers."""
    return self.request.headers


@app.task(base=Noted, expires=-1)
def come_too_late():
    """Is not run any more."""


@app.task(base=Noted)
def kill_the_process():
    """Ends the process that runs it, as the kernel's out-of-memory killer does."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def kill_the_process_once(self):
    """Kills its process the first time; its message then comes again."""
    if not note_the_run(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Dying(Noted):
    """A task whose process is killed once its result was stored."""

    def on_success(self, *args):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(base=Dying)
def succeed_then_die():
    """Succeeds."""


@app.task(base=Noted, soft_time_limit=1)
def be_interrupted():
    """Takes longer than it may, and is told so."""
    time.sleep(60)


@app.task(base=Noted, time_limit=1)
def run_out_of_time():
    """Takes longer than it may, and is ended."""
    time.sleep(60)


@app.task(bind=True)
def be_terminated(self):
    """Takes as long as it is let."""
    with redis.Redis.from_url(os.environ["TEST_REDIS"]) as client:
        client.set("to be terminated", self.request.id)
    time.sleep(60)
