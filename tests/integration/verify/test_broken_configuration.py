"""Whom Prometheus asks and tells, and other servers under its address or the application's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from conftest import eventually

from otel_accubooks.contract.checklist import LookName
from otel_accubooks.stack.deployment import SERVICE
from tests.integration.verify.deployed import PATIENCE, Place, failed, reloaded, up, will_fail

pytestmark = pytest.mark.timeout(900)  # the deployment is started by the first test


def _interval(config: Any) -> None:
    config["global"]["scrape_interval"] = "30s"


def _no_gateway(config: Any) -> None:
    config["scrape_configs"] = [
        job for job in config["scrape_configs"] if job["job_name"] != "otel-gateway"
    ]


def _no_application(config: Any) -> None:
    config["scrape_configs"] = config["scrape_configs"][1:]


def _twice(config: Any) -> None:
    del config["scrape_configs"][0]["metric_relabel_configs"]


def _relabelled(config: Any) -> None:
    dropped = {"source_labels": ["severity"], "regex": "P0", "action": "drop"}
    config["alerting"]["alert_relabel_configs"] = [dropped]


def _nobody_told(config: Any) -> None:
    config["alerting"] = {}


@pytest.mark.parametrize(
    ("change", "name", "told"),
    [
        (_interval, "interval", "scrape_interval of the job accubooks is 30s, expected 15s"),
        (_no_gateway, "interval", "no target of the job otel-gateway"),
        (_no_application, "interval", "Prometheus has no target of the job accubooks"),
        (_relabelled, "told", "alert_relabel_configs has a rule (drop P0)"),
        (_nobody_told, "told", "tells 0 Alertmanagers, expected 2"),
    ],
)
def test_a_configuration_that_is_not_as_it_should_be(
    place: Place, change: Callable[[Any], None], name: LookName, told: str
) -> None:
    """What Prometheus runs counts, and not what it ran, or what lies in a file."""
    with reloaded(place.prometheus, place.prometheus.config, change):
        will_fail(lambda: place.look(name), told)


def test_somebody_else_is_told_in_place_of_one_of_the_pair(place: Place) -> None:
    """The one that is left out hears of everything all the same, from the standby."""
    targets = place.prometheus.config.parent / "targets" / "alertmanager.yml"
    text = targets.read_text()
    first, second = place.servers.alertmanager
    somebody = place.receivers.slack.url
    try:
        told = [url.removeprefix("http://") for url in (first, somebody)]
        targets.write_text(yaml.safe_dump([{"targets": told}]))
        will_fail(
            lambda: place.look("told"), f"does not tell {second[len('http://') :]}, but {told[1]}"
        )
    finally:
        targets.write_text(text)


def test_samples_that_are_scraped_and_pushed(place: Place) -> None:
    """They count twice."""
    with reloaded(place.prometheus, place.prometheus.config, _twice):
        will_fail(lambda: place.look("interval"), "are scraped and pushed, and count twice")


def test_another_application_under_the_address(place: Place) -> None:
    """It is up, is scraped as often, and is not who pushes."""
    targets = place.prometheus.config.parent / "targets" / "app.yml"
    text = targets.read_text()
    try:
        targets.write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{place.standby.port}"]}]))
        config = place.prometheus.config
        with reloaded(
            place.prometheus,
            config,
            lambda c: c["scrape_configs"][0].update(metrics_path="/metrics"),
        ):
            scraped = f"127.0.0.1:{place.standby.port}/metrics"
            assert eventually(lambda: up(place, scraped) == "up", PATIENCE)
            failed(place.look("interval"), f"is not the application {SERVICE}")
    finally:
        targets.write_text(text)


def test_a_service_of_another_name(place: Place) -> None:
    """Nothing of it is there, and whose metrics are is told."""
    for name in ("backend", "interval", "metrics api"):
        failed(place.look(name, service="ledger"), "nothing of the service 'ledger' is there")


def test_an_address_of_something_else(place: Place, impatient: None) -> None:
    """A server that is no Prometheus fails every look, and each says so in a line."""
    for name in ("backend", "interval", "metrics api", "alerts P0", "retention"):
        failed(place.look(name, prometheus=place.receivers.slack.url), place.receivers.slack.url)
