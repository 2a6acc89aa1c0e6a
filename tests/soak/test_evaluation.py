"""Whole days in a real Prometheus: a clean one is stable, and what was planted in others is named."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from otel_accubooks.cli.soak import run
from otel_accubooks.contract.query import DAY, HOUR, MINUTE
from otel_accubooks.servers.settings import Servers
from otel_accubooks.soak.evaluation import evaluate
from otel_accubooks.soak.report import Report
from otel_accubooks.stack.binaries import find_prometheus
from otel_accubooks.stack.prometheus import Prometheus
from tests.soak.history import HEALTHY_BYTES, Curve, Past, alert, service, surroundings, wave

STEP = 30.0
# The past goes on for a while after it was written, so that no test has to hurry.
MARGIN = 2 * HOUR
LENGTH = DAY - HOUR


def outage(at: float) -> bool:
    """Twenty minutes without anything."""
    return 10 * HOUR < at < 10 * HOUR + 20 * MINUTE


def moved() -> dict[str, Curve]:
    """A service on two hosts. One was silent for a while; the other was restarted, then lost."""
    hosts: list[tuple[str, Callable[[float], bool], float]] = [
        ("one", lambda at: not outage(at), 0.0),
        ("two", lambda at: at < 12 * HOUR, 0.0),
        ("three", lambda at: 12 * HOUR <= at < 20 * HOUR, 12 * HOUR),
    ]
    series: dict[str, Curve] = {}
    for name, there, began in hosts:
        uptime = {"system_uptime_seconds": partial(_since, began)} if began else {}
        for key, curve in service("moved", instance=name, **uptime).items():
            series[key] = partial(_while, there, curve)
    return series


def _since(began: float, at: float) -> float:
    return at - began


def _while(there: Callable[[float], bool], curve: Curve, at: float) -> float | None:
    return curve(at) if there(at) else None


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text("groups: []\n")
    now = time.time() // STEP * STEP
    gappy = {
        name: partial(_while, lambda at: not outage(at), curve)
        for name, curve in service("gappy").items()
    }
    series = {
        **surroundings(),
        **service("clean"),
        **gappy,
        **service(
            "leaky",
            process_memory_usage_bytes=lambda at: (
                HEALTHY_BYTES * (1 + 0.05 * wave(at / 30, 13)) + 2000 * at
            ),
            http_requests_total=lambda at: 2 * (at - (12 * HOUR if at > 12 * HOUR else 0)),
        ),
        **service(
            "noisy",
            # Fifty times within its threshold of 70 %, and far from the one of 90 %.
            db_pool_utilization_percent=lambda at: 62 + 16 * wave(at / 30, 23),
            cache_hits_total=lambda at: 90 * (at // 30) if not outage(at) else None,
        ),
        **moved(),
        **alert("HighLatency", "P1", "noisy", lambda at: 6 * HOUR < at < 6.2 * HOUR),
        **alert("CacheLatencyHigh", "P2", "noisy", lambda at: at > 20 * HOUR and at % 600 < 120),
    }  # fmt: skip
    Past(now - DAY, now + MARGIN, STEP, series).write(folder / "data")
    with Prometheus(folder, find_prometheus(), rules=folder / "rules.yml") as server:
        yield Servers(prometheus=server.url)


def report(servers: Servers, name: str) -> Report:
    """What a soak says of the last 23 hours of this service."""
    of = Servers(prometheus=servers.prometheus, service=name)
    return evaluate(of, LENGTH, None, lambda *_: None)


def failed(found: Report) -> list[str]:
    return [one.said for one in found.findings("failed")]


@pytest.fixture(scope="module")
def noisy(servers: Servers) -> Report:
    return report(servers, "noisy")


def test_a_clean_day_is_stable(
    servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0, and a report for people and one for machines."""
    of = Servers(prometheus=servers.prometheus, service="clean")
    assert run(of, seconds=LENGTH, past=True, folder=tmp_path / "evidence") == 0, (
        capsys.readouterr().out
    )
    (people,) = (tmp_path / "evidence").glob("stability_*Z.md")
    machines = json.loads(people.with_suffix(".json").read_text())
    assert people.read_text().startswith("# Stability: STABLE\n")
    assert machines["verdict"] == "STABLE"
    assert machines["services"] == ["clean"]


def test_what_cannot_be_seen_afterwards_is_said(servers: Servers) -> None:
    """No look at processes, and no page of a server, is made up."""
    unseen = " ".join(one.said for one in report(servers, "clean").findings("unseen"))
    for what in ("what exporters say", "what Alertmanager told", "the exporter of clean uses"):
        assert what in unseen


def test_a_gap_is_found_and_dated(servers: Servers) -> None:
    """Nothing of a service arrived for twenty minutes."""
    (said,) = failed(report(servers, "gappy"))
    assert "gappy: nothing arrived for 20 min" in said


def test_a_leak_and_a_total_that_fell_are_found(servers: Servers) -> None:
    """Memory that grows steadily under noise; requests that began anew though the service did not."""
    found = failed(report(servers, "leaky"))
    assert any("memory of leaky" in said and "does it leak?" in said for said in found)
    assert any("http_requests_total of leaky (1 times)" in said for said in found)


def test_an_instance_that_was_silent_or_restarted_is_found(servers: Servers) -> None:
    """Though the other one sent all the time."""
    found = failed(report(servers, "moved"))
    assert any("instance one was silent while others were not" in said for said in found)
    assert any("moved: the service was restarted once" in said for said in found)
    assert any("instance three was last heard" in said for said in found)


def test_alerts_that_fired_and_flapped_are_found(noisy: Report) -> None:
    """Those of the watched service, with their times."""
    found = failed(noisy)
    assert any("P1 HighLatency fired once" in said for said in found)
    assert any("CacheLatencyHigh flaps: it fired 7 times within an hour" in said for said in found)


def test_one_metric_that_was_away_is_found(noisy: Report) -> None:
    """Though everything else of its service went on."""
    assert any("cache_hits_total was away while" in said for said in failed(noisy))


def test_a_threshold_within_what_is_usual_is_suggested_to_be_raised(noisy: Report) -> None:
    """With the line of the contract in which it stands; one far away is left alone."""
    usual = {one.alert: one for one in noisy.baseline if "pool main" in one.group}
    warning = usual["DatabasePoolUtilizationWarning"]
    assert (warning.p50, round(warning.nearest)) == (pytest.approx(70, abs=1), 78)
    assert warning.suggestion.advice == "keep"  # it never held for 10 minutes
    path, _, line = warning.where.partition(":")
    text = Path(path).read_text().splitlines()[int(line) - 1]
    assert "_above(_POOL_UTILIZATION, 70)" in text


def test_a_service_that_nobody_heard_of_is_not_stable(servers: Servers) -> None:
    """Silence is not stability."""
    found = report(servers, "nobody")
    assert found.verdict == "NOT STABLE"
    assert "has heard of no service that calls itself nobody" in failed(found)[0]


def test_data_that_begins_later_is_a_gap(servers: Servers) -> None:
    """Of two days only one was kept."""
    of = Servers(prometheus=servers.prometheus, service="clean")
    found = evaluate(of, 2 * DAY, None, lambda *_: None)
    assert any("clean: nothing arrived for" in said for said in failed(found))
