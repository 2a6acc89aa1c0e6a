"""A Celery application whose tasks note each of their ends in a file of their own."""

from __future__ import annotations

import os

from celery import Celery

QUEUE = "reports"
app = Celery("reports", broker=os.environ["REDIS_URL"])
app.conf.update(task_default_queue=QUEUE, task_ignore_result=True)


@app.task
def report(number: int) -> None:
    """Fails one time in five. Raises ValueError then."""
    fails = number % 5 == 0
    line = f"{os.getpid()} {'failure' if fails else 'success'}\n"
    account = os.open(os.environ["LONG_RUN_TASKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(account, line.encode())
    finally:
        os.close(account)
    if fails:
        raise ValueError(f"report {number} does not add up")
