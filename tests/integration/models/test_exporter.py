"""The exporter beside the process models: killed, busy, or ended together with everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Service, eventually
from models.harness import (
    ROUTE,
    Deployed,
    Load,
    children,
    kill_one,
    random_moments,
    requests,
    stop_container,
)
from models.test_web import GUNICORN, KINDS, UWSGI
from test_life import exporters, kill_exporters

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.sink import Reply, Request


class SlowReceiver(OtlpReceiver):
    """Keeps each request until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = threading.Event()
        self.go_on = threading.Event()

    def answer(self, request: Request) -> Reply:
        self.busy.set()
        self.go_on.wait()
        return super().answer(request)


@pytest.fixture
def slow() -> Iterator[SlowReceiver]:
    with SlowReceiver() as receiver:
        yield receiver
        receiver.go_on.set()


def test_forks_in_the_middle_of_an_export(slow: SlowReceiver, tmp_path: Path) -> None:
    """While the exporter waits for its receiver, workers end and are forked by a master that counts."""
    deployed = Deployed(Service(tmp_path, slow))
    options = ("--preload", "--max-requests", "5", "app:app")
    with deployed.service.server(*GUNICORN, *options):
        for _ in range(2):
            slow.busy.clear()
            slow.go_on.clear()
            assert eventually(slow.busy.is_set, 60)
            before = deployed.truth.begun("late import")
            requests(deployed.service.port, 60)
            assert deployed.truth.begun("late import") > before
            slow.go_on.set()
    deployed.check_exact(*KINDS)
    assert deployed.service.requests(route=ROUTE) == 120


def test_an_exporter_that_is_killed_again_and_again(deployed: Deployed) -> None:
    """At random moments of the load, and once more right before the service is stopped."""
    service = deployed.service
    server = service.server(*GUNICORN, "app:app").start()
    with Load(service.port) as load:
        for chance in random_moments(lambda: deployed.truth.begun("request"), 4):
            kill_one(chance, lambda: exporters(service))
    kill_exporters(service)
    server.stop(30)
    deployed.check_exact(*KINDS)
    assert load.sent == load.answered == service.requests(route=ROUTE)
    assert len(deployed.instances()) == 1


def test_without_threads_requests_replace_a_killed_exporter(deployed: Deployed) -> None:
    """uWSGI as it is: no new process, no thread, and yet there is another exporter, also at the end."""
    service = deployed.service
    with service.server(*UWSGI) as server:
        requests(service.port, 40)
        workers = children(server.pid)
        kill_exporters(service)
        load = Load(service.port)
        assert eventually(lambda: load.ask() and exporters(service), 60)
        assert children(server.pid) == workers
        assert eventually(lambda: service.requests(route=ROUTE) == 40 + load.answered, 60)
        requests(service.port, 20)
        kill_exporters(service)
    deployed.check_exact(*KINDS)


@pytest.mark.parametrize("command", [(*GUNICORN, "app:app"), UWSGI], ids=["gunicorn", "uWSGI"])
def test_a_container_that_is_stopped(command: tuple[str, ...], deployed: Deployed) -> None:
    """SIGTERM to everybody, the exporter too; SIGKILL to all once the server has ended: all is sent."""
    service = deployed.service
    service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "600000"
    server = service.server(*command).start()
    requests(service.port, 60)
    stop_container(service, server)
    assert service.requests(route=ROUTE) == deployed.counted("request") == 60


def test_workers_make_no_series(tmp_path: Path) -> None:
    """One worker, or four that are replaced all the time: the same series, each once."""
    found = []
    for name, options in {"one": ("-w", "1"), "many": ("-w", "4", "--max-requests", "10")}.items():
        (tmp_path / name).mkdir()
        with OtlpReceiver() as sink:
            deployed = Deployed(Service(tmp_path / name, sink))
            with deployed.service.server(*GUNICORN, *options, "app:app"):
                requests(deployed.service.port, 100)
            deployed.check_exact(*KINDS)
            found.append(sorted((s.name, sorted(s.attributes.items())) for s in sink.series()))
    assert found[0] == found[1]
