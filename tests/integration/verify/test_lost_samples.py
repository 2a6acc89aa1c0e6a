"""What lies in Prometheus, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from conftest import eventually

from otel_accubooks.contract.checklist import LookName
from otel_accubooks.stack.binaries import find_prometheus
from otel_accubooks.stack.prometheus import DIRECT, Prometheus
from otel_accubooks.verify.look import Look
from tests.integration.verify.deployed import PATIENCE, Place, failed

pytestmark = pytest.mark.timeout(900)  # the deployment is started by the first test


def _break_scrape(config: Any) -> None:
    def relabel(action: str, names: str, **rest: str) -> dict[str, Any]:
        return {"source_labels": ["__name__"], "regex": names, "action": action, **rest}

    config["scrape_configs"][0]["metric_relabel_configs"] = [
        relabel("drop", "cache_hits_total"),
        relabel("replace", "users_by_tier", target_label="__name__", replacement="users_by_tier_1"),
        relabel("replace", "forecast_queue_depth", target_label="queue", replacement=""),
        {
            "source_labels": ["__name__", "le"],
            "regex": "http_request_duration_ms_bucket;500(.0)?",
            "action": "drop",
        },
        relabel("replace", "nps_score", target_label="__name__", replacement="nps_score_ratio"),
        relabel("drop", "db_query_duration_ms_sum"),
        {
            "source_labels": ["__name__", "tier"],
            "regex": "forecasts_generated_total;FREE",
            "target_label": "tier",
            "replacement": "GOLD",
        },
    ]


@pytest.fixture(scope="module")
def scraped_badly(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Look]]:
    """A Prometheus that scrapes the application itself, keeps not all of it, and not for long."""
    folder = tmp_path_factory.mktemp("direct")
    source = folder / "direct.yml"
    config = yaml.safe_load(DIRECT.read_text())
    _break_scrape(config)
    source.write_text(yaml.safe_dump(config))
    (folder / "targets").mkdir()
    (folder / "targets" / "app.yml").touch()
    target = f"127.0.0.1:{place.deployment.app_port}"
    server = Prometheus(
        folder / "data",
        find_prometheus(),
        config=source,
        targets={"app": [target]},
        rules=place.rules,
    )
    server.argv.append("--storage.tsdb.retention.size=1MB")
    with server:
        assert eventually(lambda: server.query("system_uptime_seconds"), PATIENCE)
        yield lambda name, where="prometheus": place.look(name, **{where: server.url})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("metrics cache", "cache_hits_total: missing; the application itself shows it"),
        ("metrics business", "users_by_tier: missing"),
        (
            "metrics business",
            "nps_score: missing; there is nps_score_ratio: set translation_strategy",
        ),
        ("metrics business", "forecasts_generated_total: tier is GOLD, expected one of FREE"),
        ("metrics queue", "forecast_queue_depth: 1 of 1 series have no label queue"),
        ("metrics api", "http_request_duration_ms: no bucket 500: is it dropped by a relabelling?"),
        ("metrics database", "db_query_duration_ms_sum: missing"),
        ("retention", "the size limit of 0.00 GiB cuts retention short"),
        ("told", "tells 0 Alertmanagers, expected 2"),
    ],
)
def test_what_is_lost_on_the_way(
    scraped_badly: Callable[..., Look], name: LookName, told: str
) -> None:
    """Each metric, label and bucket that is missing is named."""
    failed(scraped_badly(name), told)


@pytest.mark.parametrize(
    "told",
    [
        "forecast_queue_depth: 1 of 1 series have no label queue",
        "http_request_duration_ms: no bucket 500",
        "its instances, or their uptimes, are not those of the first",
    ],
)
def test_a_standby_with_other_data(scraped_badly: Callable[..., Look], told: str) -> None:
    """It has each name, or nearly so, and not its labels; its instances are not the first's."""
    failed(scraped_badly("standby", "standby"), told)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus as it comes: without rules, without targets, for fifteen days."""
    folder = tmp_path_factory.mktemp("forgetful")
    empty = folder / "rules.yml"
    empty.write_text("groups: []\n")
    server = Prometheus(folder, find_prometheus(), rules=empty)
    server.argv = [word for word in server.argv if "retention" not in word]
    server.argv.append("--query.lookback-delta=20s")
    with server:
        yield server


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("retention", "retention is 15d, expected at least 30d: start Prometheus with"),
        ("alerts P2", "there is no such rule"),
        ("backend", "no metric of the contract is there"),
        ("backend", "a series ends 20s after its last point, expected 5m"),
        ("metrics system", "no metric of the contract is there"),
    ],
)
def test_a_prometheus_that_was_only_started(
    place: Place, forgetful: Prometheus, name: LookName, told: str
) -> None:
    """It answers, and nothing else."""
    failed(place.look(name, prometheus=forgetful.url), told)


def test_a_standby_that_stands_by_nobody(place: Place, forgetful: Prometheus) -> None:
    """It has no data, no rules, tells nobody; or it is the first under another name; or none."""
    failed(place.look("standby", standby=forgetful.url), "no metric of the contract is there")
    failed(place.look("standby", standby=forgetful.url), "there is no such rule")
    failed(place.look("standby", standby=forgetful.url), "tells 0 Alertmanagers")
    itself = place.prometheus.url.replace("127.0.0.1", "localhost")
    failed(place.look("standby", standby=itself), "are one and the same")
    failed(place.look("standby", standby=""), "no standby is known")
