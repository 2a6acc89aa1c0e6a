"""Who tells people, and whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from otel_accubooks.contract.checklist import LookName
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.alertmanager import configuration
from otel_accubooks.verify.look import Look
from tests.integration.verify.deployed import Place, failed, reloaded

pytestmark = pytest.mark.timeout(900)  # the deployment is started by the first test
ROUTES = len(configuration(Addresses(("a@b.c",), ("a@b.c",), ""))["route"]["routes"])


def _break_alertmanager(config: Any) -> None:
    routes = config["route"]["routes"]
    routes.insert(0, {"matchers": ['severity="P0"'], "receiver": "P3"})
    config["inhibit_rules"].append(
        {"source_matchers": ['alertname="Watchdog"'], "target_matchers": ['severity="P0"']}
    )
    by_name = {receiver["name"]: receiver for receiver in config["receivers"]}
    del by_name["P0"]["pagerduty_configs"]
    by_name["P1"]["email_configs"][0]["to"] = "nobody@books.example"
    by_name["heartbeat"]["webhook_configs"][0]["url"] = "http://127.0.0.1:9/"
    by_name["P3"]["slack_configs"][0]["http_config"] = {"proxy_url": "http://127.0.0.1:9"}
    config["global"]["smtp_smarthost"] = "127.0.0.1:9"
    config["route"]["group_wait"] = "10m"


@pytest.fixture(scope="module")
def alertmanager_broken(place: Place) -> Iterator[Callable[[LookName], Look]]:
    second = place.receivers.alertmanagers[1]
    with reloaded(second, second.config, _break_alertmanager):
        yield place.look


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("told", f"route has {ROUTES + 1} routes, expected {ROUTES}"),
        ("told", 'an inhibition by alertname="Watchdog" silences alerts'),
        ("told", "receiver P0 has 0 pagerduty_configs, expected 1"),
        ("told", "is 'nobody@books.example', expected 'on-call@books.example'"),
        ("told", "smtp_smarthost is '127.0.0.1:9'"),
        ("told", "route: group_wait is '10m', expected"),
        ("told", "receiver P3: its slack_configs have other http_config than those of P0"),
        ("told", "not as in the first of the pair: give both one configuration"),
        ("heartbeat", "the receiver heartbeat tells ['http://127.0.0.1:9/']"),
    ],
)
def test_one_alertmanager_of_two_tells_others(
    alertmanager_broken: Callable[[LookName], Look], name: LookName, told: str
) -> None:
    """Whom it would tell is what counts, of each of them."""
    failed(alertmanager_broken(name), told)


def test_a_silence(place: Place) -> None:
    """Somebody has silenced what is critical, and is named."""
    url = place.servers.alertmanager[0]
    severity = {"name": "severity", "value": "P[01]", "isRegex": True, "isEqual": True}
    silence = {
        "matchers": [severity],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2100-01-01T00:00:00Z",
        "createdBy": "night shift",
        "comment": "too loud",
    }
    made = httpx.post(f"{url}/api/v2/silences", json=silence, trust_env=False).raise_for_status()
    number = made.json()["silenceID"]
    try:
        failed(place.look("told"), "are silenced by night shift until 2100")
    finally:
        httpx.delete(f"{url}/api/v2/silence/{number}", trust_env=False).raise_for_status()


def test_a_heartbeat_that_nobody_hears(place: Place) -> None:
    """No address of a dead-man's switch."""
    failed(place.look("heartbeat", {"heartbeat_url": ""}), "heartbeat_url of alerting.toml")


def test_a_pair_that_is_none(place: Place) -> None:
    """One alone; or one under two names."""
    one = place.servers.alertmanager[0]
    failed(place.look("pair", alertmanager=(one,)), "1 Alertmanager is known, expected two")
    twice = (one, one.replace("127.0.0.1", "localhost"))
    failed(place.look("pair", alertmanager=twice), "are one and the same Alertmanager")
