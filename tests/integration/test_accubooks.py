"""The example application with everything around it, beyond what the demo compares."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import httpx
import pytest
from conftest import eventually

from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.deployment import Deployment

PERSON = {"email": "pro@acorn.example", "password": "correct horse"}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("accubooks"), ["datadog"], workers=2) as made:
        yield made.start(lambda _: None)


@pytest.fixture
def intake(deployment: Deployment) -> DatadogIntake:
    assert deployment.datadog is not None
    return deployment.datadog


@pytest.fixture
def person(deployment: Deployment) -> Iterator[httpx.Client]:
    """Somebody who is signed in, and has looked at a forecast."""
    with httpx.Client(base_url=deployment.url, timeout=30) as client:
        # After a restart of the database, each pooled connection of each worker fails once.
        for path, sent in (("/login", PERSON), ("/api/forecasts", {})):
            ask = functools.partial(client.post, path, json=sent)
            assert eventually(lambda ask=ask: ask().status_code < 400), ask().text
        yield client


@pytest.mark.parametrize("server", ["postgres", "redis"])
def test_health_follows_what_the_service_needs(
    deployment: Deployment, intake: DatadogIntake, person: httpx.Client, server: str
) -> None:
    """A database or a Redis that is down is 0; up again is 1. No request has to notice first."""
    needed = getattr(deployment, server)
    assert eventually(lambda: intake.value("system_health_status") == 1, 40)
    needed.kill()
    assert eventually(lambda: intake.value("system_health_status") == 0, 40)
    needed.start()
    assert eventually(lambda: intake.value("system_health_status") == 1, 40)


def test_a_database_that_is_down_is_counted(
    deployment: Deployment, intake: DatadogIntake, person: httpx.Client
) -> None:
    """Connections that are lost or refused are errors of their kind, and the answer is a 5xx."""
    before = intake.value("db_connection_errors_total")
    deployment.postgres.kill()
    try:
        answers = [person.get("/api/scenarios").status_code for _ in range(6)]
    finally:
        deployment.postgres.start()
    assert all(status >= 500 for status in answers)
    assert eventually(lambda: intake.value("db_connection_errors_total") >= before + 6)
    kinds = {
        tag.partition(":")[2]
        for series in intake.series("db_connection_errors_total")
        for tag in series.tags
        if tag.startswith("error_type:") and series.value
    }
    assert kinds <= {"connection_lost", "refused", "other"}


def test_nothing_that_is_private_leaves(
    deployment: Deployment, intake: DatadogIntake, person: httpx.Client
) -> None:
    """No e-mail, user id, password, SQL or Redis key is in any name or tag."""
    assert eventually(lambda: intake.series("active_users_concurrent"))
    person.get("/api/scenarios?token=canary-4711")
    eventually(lambda: False, 3)
    everything = str([(s.metric, s.tags) for s in intake.series()]) + str(
        [(d.metric, d.tags) for d in intake.distributions()]
    )
    for secret in ("acorn.example", "correct horse", "canary-4711", "SELECT *", "accubooks:scen"):
        assert secret not in everything
