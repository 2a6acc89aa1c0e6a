"""Where no folder can be shared: a process keeps its counts in memory, and sends them itself."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil
import pytest
from conftest import Service, eventually

from otel_accubooks.stack.process import Server


@pytest.fixture
def unshared(service: Service) -> Service:
    """A service whose folder cannot be made: a file is in its place."""
    service.env["OTEL_ACCUBOOKS_STATE_DIR"] = str(service.folder / "file" / "state")
    (service.folder / "file").write_text("in the way")
    service.state = service.folder / "none"
    return service


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_a_process_that_is_alone_sends_everything(unshared: Service, kind: str) -> None:
    """N requests are N in the backend after the stop, under one instance id, and one line says why."""
    unshared.env["OTEL_METRIC_EXPORT_INTERVAL"] = "3600000"
    with unshared.gunicorn("-w", "1", "-k", kind):
        for number in range(30):
            unshared.get(f"/hello/{number}").raise_for_status()
        text = unshared.get("/api/monitoring/metrics").text
    assert 'route="/hello/<name>",status_code="200"} 30' in text
    assert unshared.requests(route="/hello/<name>") == 30
    assert len({s.instance for s in unshared.sink.series("http_requests_total")}) == 1
    assert unshared.log().count("otel-accubooks:") == 1
    assert "metrics of this process stay in its memory, and are sent by itself" in unshared.log()


def test_it_sends_each_interval(unshared: Service) -> None:
    """What was counted arrives while the process goes on."""
    with unshared.gunicorn("-w", "1"):
        for number in range(1, 4):
            unshared.get("/hello/x")
            assert eventually(lambda n=number: unshared.requests() == n)  # type: ignore[misc]
    assert all(series.resets == 0 for series in unshared.sink.series())


def test_what_is_shared_later_is_not_told_twice(unshared: Service) -> None:
    """Once there is room the process joins the others: both numbers together are what was done."""
    with unshared.gunicorn("-w", "1"):
        for number in range(20):
            unshared.get(f"/hello/{number}")
        assert eventually(lambda: unshared.requests() == 20)
        (unshared.folder / "file").unlink()
        state = Path(unshared.env["OTEL_ACCUBOOKS_STATE_DIR"])
        assert eventually(lambda: any(state.glob("*/segment-*")), 60)
        for number in range(7):
            unshared.get(f"/hello/{number}")
        assert eventually(lambda: unshared.requests() == 27)
    assert unshared.requests() == 27
    series = unshared.sink.series("http_requests_total", route="/hello/<name>")
    assert sorted(s.value for s in series) == [7, 20]
    assert len({s.instance for s in series}) == 2
    unshared.state = state


def spare(server: Server, size: int | None) -> None:
    """The one worker may have `size` bytes of address space more than it has, or all there is."""
    (worker,) = psutil.Process(server.pid).children()
    most = resource.RLIM_INFINITY if size is None else worker.memory_info().vms + size
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def test_the_last_address_space_is_the_applications(unshared: Service) -> None:
    """Where sending would take what is left, it waits: requests are answered, and all is sent later."""
    with unshared.gunicorn("-w", "1", "--preload") as server:
        spare(server, 6 * 2**20)
        for number in range(20):
            unshared.get(f"/hello/{number}").raise_for_status()
        spare(server, None)
        # Without room for a thread, it is requests that look after things.
        assert eventually(lambda: unshared.get("/teapot") and unshared.requests() >= 20)
    assert unshared.requests(route="/hello/<name>") == 20
    assert unshared.log().count("otel-accubooks:") == 1
    assert "MemoryError" not in unshared.log()


def test_what_could_not_be_sent_to_the_end_is_named(unshared: Service) -> None:
    """One line says that counts are lost, where there was never any room to send them."""
    with unshared.gunicorn("-w", "1", "--preload") as server:
        spare(server, 4 * 2**20)
        for number in range(20):
            unshared.get(f"/hello/{number}").raise_for_status()
    assert unshared.requests() == 0
    assert unshared.log().count("counted is not sent: it never had the 64 MiB") == 1
