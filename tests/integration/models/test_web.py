"""Servers of web applications."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from conftest import eventually
from models.harness import ROUTE, Deployed, Load, children, kill_one, random_moments, requests

from otel_accubooks.stack.process import Server

OPERATIONS = "requests; counts in requests, at import, and at an import within a request"
KINDS = ("import", "late import", "request")
EXACT = "exact"
FINISHED = "all that was finished"
KILLS = 5
RESTARTS = 3

# A gevent worker that is still booting does not hear SIGTERM, and gunicorn then waits for it.
GUNICORN = ("gunicorn", "-b", "127.0.0.1:{port}", "-w", "2", "--graceful-timeout", "3")
UWSGI = (
    *("uwsgi", "--http-socket", "127.0.0.1:{port}", "--master", "-p", "2", "--die-on-term"),
    *("-H", sys.prefix, "--module", "app:app"),
)
FLASK = ("flask", "--app", "app", "run", "-p", "{port}")


@dataclass(frozen=True)
class Model:
    """A process model: its name in the table, its command, and what is special about it."""

    name: str
    command: tuple[str, ...]
    workers: bool = True
    imported_once: bool = False
    reloads: bool = False
    notes: str = ""

    def server(self, deployed: Deployed) -> Server:
        return deployed.service.server(*self.command)


MODELS = [
    Model("gunicorn sync", (*GUNICORN, "app:app")),
    Model("gunicorn gthread", (*GUNICORN, "--threads", "4", "app:app")),
    Model("gunicorn gevent", (*GUNICORN, "-k", "gevent", "app:app")),
    Model(
        "gunicorn --preload",
        (*GUNICORN, "--preload", "app:app"),
        imported_once=True,
        notes="counts made at import are the master's",
    ),
    Model(
        "gunicorn --max-requests",
        (*GUNICORN, "--max-requests", "20", "app:app"),
        notes="workers are replaced all the time",
    ),
    Model(
        "uWSGI",
        UWSGI,
        imported_once=True,
        notes="no threads, no fork hooks: requests do at their end what a thread does elsewhere",
    ),
    Model(
        "uWSGI --lazy-apps", (*UWSGI, "--lazy-apps"), notes="no threads, no fork hooks: as uWSGI"
    ),
    Model("uWSGI --enable-threads", (*UWSGI, "--enable-threads"), imported_once=True),
    Model(
        "waitress",
        ("waitress-serve", "--listen=127.0.0.1:{port}", "app:app"),
        workers=False,
    ),
    Model("werkzeug", FLASK, workers=False, notes="`flask run`"),
    Model(
        "werkzeug with reloader",
        (*FLASK, "--debug"),
        workers=False,
        reloads=True,
        notes="`flask run --debug`; the application's file is changed in between",
    ),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


@each_model
def test_a_graceful_stop(model: Model, deployed: Deployed, proves: Callable[..., None]) -> None:
    """N requests and N counts are N in the backend, none twice."""
    server = model.server(deployed).start()
    requests(deployed.service.port, 60)
    if model.reloads:
        _reload(deployed)
    requests(deployed.service.port, 60)
    if model.reloads:
        os.killpg(server.pid, signal.SIGINT)  # as a terminal does
    server.stop(30)
    deployed.check_exact(*KINDS)
    assert deployed.truth.begun("request") == deployed.service.requests(route=ROUTE) == 120
    assert len(deployed.instances()) == 1
    assert not model.imported_once or deployed.truth.begun("import") == 1
    proves(model.name, operations=OPERATIONS, graceful=EXACT, notes=model.notes)


def _reload(deployed: Deployed) -> None:
    before = deployed.truth.done("import")
    os.utime(deployed.service.folder / "app.py")
    assert eventually(lambda: deployed.truth.done("import") > before, 60)


@each_model
def test_sigkill(model: Model, deployed: Deployed, proves: Callable[..., None]) -> None:
    """Under load, processes are killed: every answered request and every finished count is there."""
    server = model.server(deployed).start()
    times = KILLS if model.workers else RESTARTS
    with Load(deployed.service.port) as load:
        for chance in random_moments(lambda: deployed.truth.begun("request"), times):
            if model.workers:
                kill_one(chance, lambda: children(server.pid))
            else:
                server.kill()
                server.start()
        assert eventually(lambda enough=load.answered + 20: load.answered >= enough, 60)
    server.stop(30)
    deployed.check_bounds(*KINDS)
    counted = deployed.service.requests(route=ROUTE)
    print(
        f"{load.answered} answered <= {counted:g} counted <= {deployed.truth.begun('http')} begun"
    )
    assert load.answered <= counted <= deployed.truth.begun("http")
    who = "workers" if model.workers else "the process, which is then started again"
    proves(model.name, killed=f"{who}: {FINISHED}")
