"""A viewer that does not show this deployment's data, or not to whom it should, is found out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import psutil
import pytest

from otel_accubooks.contract.dashboards import DASHBOARDS, EXECUTIVE_OVERVIEW
from otel_accubooks.servers.prometheus import Prometheus as Client
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.promql import APPLICATION_JOB
from otel_accubooks.verify.dashboards import GIVES, Watched
from otel_accubooks.verify.dashboards_step import STEPS
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.viewer_page import Viewer
from otel_accubooks.verify.viewer_same import differs
from otel_accubooks.verify.way import Site
from otel_accubooks.viewer import application
from tests.verify.application import Application
from tests.verify.watched import scraping

TO = Addresses(
    email=("on-call@example.com",),
    escalation_email=("cto@example.com",),
    application="https://books.example",
)
EARLIER = "2026-01-01 00:00:00 UTC"
PUBLIC = EXECUTIVE_OVERVIEW.name
DATA = {f"data {board.name}" for board in DASHBOARDS}


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def viewing(
    prometheus: str, only: str | None = None, *, host: str = "127.0.0.1", hidden: str = ""
) -> Iterator[str]:
    """A viewer over that Prometheus; its address. What begins with `hidden` is not let through."""
    viewer = application(prometheus, only=only, runbooks="https://runbooks.example")

    def app(environ: dict[str, Any], start: Any) -> Any:
        if hidden and environ["PATH_INFO"].startswith(hidden):
            start("404 Not Found", [("content-length", "0")])
            return []
        return viewer(environ, start)

    with make_server(host, 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def feeding() -> Iterator[Application]:
    with Application() as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, feeding: Application
) -> Iterator[Prometheus]:
    """One that has everything, of now."""
    with scraping(tmp_path_factory.mktemp("prometheus"), feeding) as running:
        yield running


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """That of another deployment, which lacks some metrics."""
    without = ("forecast_queue_depth", "tier_limit_hits_total", "support_tickets_total")
    lacking = Application(scale=3, without=without)
    with lacking, scraping(tmp_path_factory.mktemp("other"), lacking) as running:
        yield running


@pytest.fixture(scope="module")
def viewer(prometheus: Prometheus) -> Iterator[str]:
    with viewing(prometheus.url) as address:
        yield address


@pytest.fixture(scope="module")
def public(prometheus: Prometheus) -> Iterator[str]:
    with viewing(prometheus.url, PUBLIC) as address:
        yield address


def looked(prometheus: str, viewer: str, public: str = "") -> dict[str, Look]:
    """The worst look of each name."""
    found: dict[str, Look] = {}
    site = Site(
        Servers(prometheus=prometheus, viewer=viewer, public=public), TO, {}, lambda _: None
    )
    for step in STEPS:
        for look in step.look(site):
            if look.name not in found or look.state != "passed":
                found[look.name] = look
    assert set(found) == set(GIVES)
    return found


def wrong(looks: dict[str, Look]) -> dict[str, str]:
    """What is said of those that have not passed, by name."""
    return {name: look.said for name, look in looks.items() if look.state != "passed"}


def test_what_is_whole_is_said_to_be(prometheus: Prometheus, viewer: str, public: str) -> None:
    """Every page was fetched, and every panel's data."""
    assert wrong(looked(prometheus.url, viewer, public)) == {}


def test_alerts_of_a_prometheus_just_started_are_waited_for(
    tmp_path: Path, feeding: Application
) -> None:
    """It keeps none before the third evaluation, so that the executive dashboard knows of none."""
    with (
        scraping(tmp_path, feeding, young=True) as prometheus,
        viewing(prometheus.url) as teams,
        viewing(prometheus.url, PUBLIC) as all_,
    ):
        assert prometheus.query("ALERTS") == []
        assert wrong(looked(prometheus.url, teams, all_)) == {}


def test_nobody_outside_sees_anything(prometheus: Prometheus, viewer: str) -> None:
    """The executive dashboard is to be public."""
    found = wrong(looked(prometheus.url, viewer))
    assert set(found) == {"access executives"}
    assert "--only executive_overview" in found["access executives"]


def test_the_public_sees_everything(prometheus: Prometheus, viewer: str) -> None:
    """The address of the teams' viewer is no public one."""
    found = wrong(looked(prometheus.url, viewer, viewer))
    assert set(found) == {"access executives"}
    assert "the public sees Operations, Database Performance" in found["access executives"]


def test_the_teams_see_the_public_one_alone(prometheus: Prometheus, public: str) -> None:
    """The two addresses are exchanged."""
    found = wrong(looked(prometheus.url, public, public))
    assert {"dashboard operations", "data operations", "access product"} <= set(found)
    assert "dashboard executive_overview" not in found


def test_a_viewer_that_is_down(prometheus: Prometheus, public: str) -> None:
    """With its address."""
    down = f"http://127.0.0.1:{free_port()}"
    found = wrong(looked(prometheus.url, down, public))
    assert set(found) == {*GIVES} - {"access executives"}
    assert down in found["dashboard operations"]


def test_another_server_at_its_address(prometheus: Prometheus) -> None:
    """What answers is no viewer."""
    found = wrong(looked(prometheus.url, prometheus.url, prometheus.url))
    assert set(found) == set(GIVES)


def test_a_viewer_whose_scripts_are_held_back(prometheus: Prometheus, public: str) -> None:
    """It answers, and a browser draws nothing."""
    with viewing(prometheus.url, hidden="/_dash-component-suites") as viewer:
        found = wrong(looked(prometheus.url, viewer, public))
    assert set(found) == {f"dashboard {board.name}" for board in DASHBOARDS}
    assert "no browser can draw the page" in found["dashboard operations"]


def test_a_viewer_that_everybody_reaches(prometheus: Prometheus, public: str) -> None:
    """It is asked here on the loopback address, and listens on all."""
    with viewing(prometheus.url, host="0.0.0.0") as viewer:
        found = looked(prometheus.url, viewer, public)
    assert {look.state for look in found.values()} <= {"passed", "unseen"}
    reached = [one for one in psutil.net_if_addrs().values() for one in one]
    outside = [
        one
        for one in reached
        if one.family == socket.AF_INET and not one.address.startswith("127.")
    ]
    assert (found["access product"].state == "unseen") == bool(outside)


def test_a_viewer_without_its_prometheus(prometheus: Prometheus) -> None:
    """It says so itself, on every page."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    with viewing(nowhere) as viewer, viewing(nowhere, PUBLIC) as public:
        found = wrong(looked(prometheus.url, viewer, public))
    assert set(found) == {*DATA, "access executives"}
    assert "does not answer" in found["data operations"]


def test_a_viewer_over_another_deployment(prometheus: Prometheus, other: Prometheus) -> None:
    """It has the metrics of a service of that name; the numbers are others."""
    with viewing(other.url) as viewer, viewing(other.url, PUBLIC) as public:
        found = wrong(looked(prometheus.url, viewer, public))
    assert set(found) == {*DATA, "access executives"}
    for name in ("data database_performance", "access executives"):
        assert "start the viewer with --prometheus" in found[name]


def test_a_viewer_over_a_twin(prometheus: Prometheus, public: str) -> None:
    """Its numbers are the same, as those of few users are; it was started at another time."""
    viewer, client = Viewer(public), Client(prometheus.url)
    with contextlib.closing(viewer), contextlib.closing(client):
        page = viewer.page(EXECUTIVE_OVERVIEW, APPLICATION_JOB)
        watched = Watched(client, APPLICATION_JOB)
        assert differs(EXECUTIVE_OVERVIEW, page, watched) == ""
        twin = replace(page, facts=f"{page.facts.partition(' · up since')[0]} · up since {EARLIER}")
        assert f"is up since {EARLIER}, which is not" in differs(EXECUTIVE_OVERVIEW, twin, watched)


def test_metrics_that_do_not_come(other: Prometheus) -> None:
    """The panels that show them are named; what need never happen is left to a person."""
    with viewing(other.url) as viewer, viewing(other.url, PUBLIC) as public:
        found = looked(other.url, viewer, public)
    assert set(wrong(found)) == {"data operations", "data business_metrics"}
    assert "(Queue Depth)" in found["data operations"].said
    assert found["data operations"].state == "failed"
    assert found["data business_metrics"].state == "unseen"
    assert "Support Tickets, Tier Limit Hits" in found["data business_metrics"].said


def test_data_that_is_old(tmp_path: Path) -> None:
    """Prometheus has the last points still, and so every panel has data."""
    with contextlib.ExitStack() as running:
        late = running.enter_context(Application(behind=150))
        server = running.enter_context(scraping(tmp_path, late))
        viewer = running.enter_context(viewing(server.url))
        found = wrong(looked(server.url, viewer))
    assert set(found) > DATA
    assert "shows what is old" in found["data operations"]
