"""A second backend beside a vendor's account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify.account import second_backend
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.way import Site
from tests.verify.application import Application
from tests.verify.watched import scraping

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has the data, and of the rules the heartbeat alone; it tells nobody."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Application() as application, scraping(folder, application) as running:
        yield running


def looked(standby: str, service: str = "") -> dict[str, Look]:
    servers = Servers(standby=standby, service=service)
    return {one.name: one for one in second_backend(Site(servers, TO, {}, lambda _: None))}


def test_no_second_backend() -> None:
    """The vendor alone is not enough."""
    found = looked("")
    assert {look.state for look in found.values()} == {"failed"}
    assert "--standby" in found["standby"].said


def test_one_that_is_down() -> None:
    """With its address."""
    address = f"http://127.0.0.1:{free_port()}"
    found = looked(address)
    assert {look.state for look in found.values()} == {"failed"}
    assert address in found["standby"].said


def test_one_without_the_rules(prometheus: Prometheus) -> None:
    """It has all the data, and would tell of nothing."""
    found = looked(prometheus.url)
    assert {look.state for look in found.values()} == {"failed"}
    assert "HighErrorRate" in str(found["standby"])


def test_one_of_another_service(prometheus: Prometheus) -> None:
    """It watches somebody else."""
    assert "'shop'" in looked(prometheus.url, "shop")["standby"].said
