"""Why a metric is missing is told, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.metrics import look_metrics
from otel_accubooks.verify.way import Site
from tests.verify.application import Application
from tests.verify.watched import scraping


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Look]]:
    """The looks at an application whose users are not there."""
    unused = Application(without=("trust_layer_usage_percent",))
    with unused, scraping(tmp_path_factory.mktemp("idle"), unused) as prometheus:
        to = Addresses(("a@books.example",), ("b@books.example",), "https://books.example")
        site = Site(Servers(prometheus=prometheus.url), to, {}, lambda _: None)
        yield {look.name: look for look in look_metrics(site)}


def test_what_is_there_only_with_users_asks_for_some(idle: dict[str, Look]) -> None:
    """Nothing is broken, and all the same it was not seen."""
    look = idle["metrics business"]
    assert look.state == "failed"
    assert "trust_layer_usage_percent: missing" in look.said
    assert "use the application while it looks" in look.said


def test_the_other_groups_are_not_concerned(idle: dict[str, Look]) -> None:
    """What is there is seen."""
    assert {name for name, look in idle.items() if look.state != "passed"} == {"metrics business"}
