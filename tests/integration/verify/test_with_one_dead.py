"""A server that is dead. The last file, since nothing after it has the whole deployment."""

from __future__ import annotations

import pytest
from conftest import eventually

from otel_accubooks.verify import metrics, prometheus
from tests.integration.verify.deployed import PATIENCE, Place, failed, up, will_fail

pytestmark = pytest.mark.timeout(900)  # the deployment is started by the first test


def test_a_cache_that_does_not_answer(place: Place) -> None:
    """Every server of the monitoring is as it should be, and the application is ill."""
    place.deployment.redis.stop()
    try:
        will_fail(lambda: place.look("calm"), "system_health_status of accubooks is 0")
    finally:
        place.deployment.redis.start()


def test_an_alertmanager_is_dead(place: Place, impatient: None) -> None:
    """Alerts still arrive, and all the same nothing is as it should be."""
    second = place.receivers.alertmanagers[1]
    second.kill()
    try:
        for name in ("pair", "told", "heartbeat"):
            failed(place.look(name), f"{second.url}/api/v2/status")
    finally:
        second.start()


def test_a_gateway_is_dead(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was pushed gets old, and the targets are up."""
    for module in (metrics, prometheus):
        monkeypatch.setattr(module, "FRESH_SECONDS", 5.0)
    place.deployment.gateway.kill()
    late = "expected at most 5: does it still come through the gateway?"
    will_fail(lambda: place.look("metrics api"), late)
    failed(place.look("backend"), "s old, expected at most 5 s: is the gateway up")
    assert eventually(lambda: up(place, f":{place.deployment.ports.metrics}/") == "down", PATIENCE)
    failed(place.look("interval"), "is the gateway up?")


def test_an_application_is_dead(place: Place) -> None:
    """Its target is down."""
    place.deployment.gunicorn.kill()
    assert eventually(lambda: up(place, f":{place.deployment.app_port}/") == "down", PATIENCE)
    failed(place.look("interval"), "/api/monitoring/metrics is down")
