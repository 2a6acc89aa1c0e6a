"""One deployment, with everything twice, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import tenacity
from conftest import eventually

from otel_accubooks.servers.api import Api
from otel_accubooks.stack.deployment import Deployment
from otel_accubooks.stack.files import RENDERED
from otel_accubooks.stack.people import people
from otel_accubooks.stack.receivers import Receivers
from tests.integration.verify.deployed import PATIENCE, Place


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    rules = folder / "rules.yml"
    rules.write_text((RENDERED / "prometheus" / "rules" / "accubooks.yml").read_text())
    with ExitStack() as running:
        receivers = running.enter_context(Receivers(folder / "alertmanager", pair=True))
        deployment = running.enter_context(
            Deployment(
                folder,
                ["prometheus", "prometheus-standby"],
                workers=1,
                threads=4,
                rules=rules,
                alertmanager=[one.address for one in receivers.alertmanagers],
            )
        )
        deployment.start(print)
        traffic = people()
        # Nobody whose books are out of balance: that alone is a P0 alert.
        traffic.COMPANIES = tuple(c for c in traffic.COMPANIES if c != "crooked")
        traffic.play(deployment.url, rounds=1, seed=7)
        place = Place(deployment, receivers, rules)
        # Prometheus runs before the application does, and may have asked it in vain at first.
        assert eventually(lambda: place.look("interval").state == "passed", 2 * PATIENCE)
        yield place


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is dead is not asked again and again."""
    monkeypatch.setattr(Api._sent.retry, "stop", tenacity.stop_after_attempt(1))  # type: ignore[attr-defined]
