"""Processes of a service, for tests: forked, working, and gone without any clean-up."""

from __future__ import annotations

import os
from collections.abc import Callable

from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder import fork
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Totals

Labels = tuple[str, ...]


def in_child(work: Callable[[], object]) -> int:
    """The exit code of a forked process that does `work`; 0 if nothing was raised."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def record_and_die(
    folder: StateFolder, work: Callable[[Recorder], object], limit: int = 2000
) -> None:
    """A process that records what `work` says, and leaves its segment behind."""

    def child() -> None:
        fork.generation[0] = 0
        work(Recorder(folder, limit))

    assert in_child(child) == 0


class Worker:
    """A process that lives on: it records when it is told to, until it is killed."""

    def __init__(self, folder: StateFolder, limit: int = 2000) -> None:
        self._told, mine = os.pipe(), os.pipe()
        self._answers = mine
        self.pid = os.fork()
        if self.pid == 0:
            fork.generation[0] = 0
            try:
                self._serve(Recorder(folder, limit))
            finally:
                os._exit(0)

    def _serve(self, recorder: Recorder) -> None:
        from otel_accubooks.contract.metrics import BY_NAME

        while request := os.read(self._told[0], 4096):
            name, amount, *labels = request.decode().split("\x1f")
            if name == "rejoin":
                recorder.rejoin()
            elif BY_NAME[name].type == "gauge":
                recorder.gauge(BY_NAME[name]).labels(*labels).set(float(amount))
            elif BY_NAME[name].type == "histogram":
                recorder.histogram(BY_NAME[name]).labels(*labels).record(float(amount))
            else:
                recorder.counter(BY_NAME[name]).labels(*labels).add(float(amount))
            os.write(self._answers[1], b".")

    def record(self, metric: Metric, amount: float, *labels: str) -> None:
        """Adds, sets or records `amount`; returns once that is done."""
        self._ask("\x1f".join((metric.name, str(amount), *labels)))

    def rejoin(self) -> None:
        self._ask("rejoin\x1f0")

    def _ask(self, text: str) -> None:
        os.write(self._told[1], text.encode())
        assert os.read(self._answers[0], 1) == b"."

    def kill(self) -> None:
        """SIGKILL; returns once it is gone."""
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
            self.pid = 0
            for fd in (*self._told, *self._answers):
                os.close(fd)


def values(totals: Totals, metric: Metric) -> dict[Labels, float]:
    """By labels, of an overflow series by ("overflow",): value of a counter or gauge, or count."""
    return {
        ("overflow",) if point.overflow else point.labels: sum(point.counts) or point.value
        for point in totals.of(metric)
    }


def read(folder: StateFolder, metric: Metric) -> dict[Labels, float]:
    """The same, as a fresh reader sees it."""
    return values(ServiceReader(folder).read(), metric)
