"""A folder that is deleted under a running service: noticed, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
from conftest import Service, eventually
from test_life import exporters


def folder_of(service: Service) -> Path:
    (folder,) = service.state.iterdir()
    return folder


def recycled(service: Service, pid: int) -> None:
    """Kills one worker of the server `pid`, and waits for another in its place."""
    workers = psutil.Process(pid).children()
    victim = workers[0]
    victim.kill()
    victim.wait(10)
    assert eventually(lambda: len(psutil.Process(pid).children()) == len(workers))


def test_deleted_under_the_service(service: Service) -> None:
    """Counts of the living and of the dead stand, whatever is deleted: N in the end, no number falls.

    Where a new process finds no folder before the exporter has noticed that, there is a new instance: it
    takes over everything.
    """
    done = 0

    def counted() -> float:
        found = service.sink.series("http_requests_total")
        return max((series.value for series in found), default=0.0)

    def load(number: int) -> None:
        nonlocal done
        for _ in range(number):
            service.get("/hello/x").raise_for_status()
            done += 1
        assert eventually(lambda: counted() == done, 60), (counted(), done, service.log())

    with service.gunicorn("-w", "2") as server:
        load(10)
        recycled(service, server.pid)  # so that there is something in the base
        load(10)
        folder = folder_of(service)
        for pattern in ("base", "segment-*", "*.[ls]o*", "*"):
            assert eventually((folder / "base").exists)
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)
            if pattern == "*":
                shutil.rmtree(folder)
            recycled(service, server.pid)  # before or after it has written its segment anew
            load(10)
        assert eventually(lambda: (folder / "base").exists() and len(exporters(service)) == 1, 60)
        load(5)  # what died was folded by the time that this has arrived
        for process in exporters(service):
            process.kill()  # what is only in its memory would be gone
        load(5)
    series = service.sink.series("http_requests_total")
    assert counted() == done
    assert sum(s.resets for s in series) == 0
    assert len({s.instance for s in series}) <= 2
