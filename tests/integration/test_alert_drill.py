"""From a request that fails to a phone that rings, and back: everything that lies between is real."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from conftest import eventually
from people import People
from receivers import RUNBOOKS, Receivers
from shortened import shortened, write_rules

from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.endpoints import TRIGGER_ERRORS
from otel_accubooks.stack.deployment import Deployment
from otel_accubooks.stack.prometheus import Prometheus

ALERT, MILDER = "HighErrorRate", "ErrorRateElevated"
TOKEN = "battery-staple"
SETTINGS = {
    "OTEL_ACCUBOOKS_TEST_ERRORS": "true",
    "OTEL_ACCUBOOKS_MONITORING_TOKEN": TOKEN,
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
}
# Twice as long as the alert holds with its times shortened; people make ten requests a second.
DRILL = {"count": 100, "duration": "20s"}
DRILLS_TRIED = 3
PATIENCE = 60.0


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    with Receivers(tmp_path_factory.mktemp("alertmanager")) as started:
        yield started


@pytest.fixture(scope="module")
def deployment(
    receivers: Receivers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("accubooks")
    rules = write_rules([shortened(alert) for alert in ALERTS], folder / "rules.yml")
    with Deployment(
        folder,
        ["prometheus"],
        workers=1,
        threads=4,
        settings=SETTINGS,
        rules=rules,
        scrape_interval="2s",
        alertmanager=receivers.alertmanager.address,
    ) as made:
        made.start(lambda _: None)
        with People(made.url):
            yield made


def drill(deployment: Deployment) -> dict[str, object]:
    """Begins a drill; what it says of itself."""
    answer = httpx.post(
        f"{deployment.url}{TRIGGER_ERRORS.path}",
        json=DRILL,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
        trust_env=False,
    )
    assert answer.status_code == 202, answer.text
    told: dict[str, object] = answer.json()
    return told


def seen(prometheus: Prometheus, state: str) -> bool:
    """Whether the alert was ever in this state."""
    series = f'ALERTS{{alertname="{ALERT}", alertstate="{state}"}}'
    return bool(prometheus.query(f"count_over_time({series}[1h])"))


def active(prometheus: Prometheus) -> bool:
    return bool(prometheus.query(f'ALERTS{{alertname="{ALERT}"}}'))


def test_a_drill_reaches_everybody_and_ends(deployment: Deployment, receivers: Receivers) -> None:
    """Errors on purpose: pending, firing, three deliveries; then it is over, and all three hear so."""
    prometheus = deployment.prometheus
    assert prometheus is not None
    began = time.monotonic()
    steps: list[tuple[str, float]] = []

    def wait(step: str, condition: Callable[[], object]) -> None:
        assert eventually(condition, PATIENCE), f"not so: {step}"
        steps.append((step, time.monotonic() - began))

    wait("people use it", lambda: prometheus.query("job:http_requests_total:growth10s > 20"))
    assert not active(prometheus)
    for _ in range(DRILLS_TRIED):
        told = drill(deployment)
        steps.append((f"a drill of {DRILL['count']} errors begins", time.monotonic() - began))
        assert told["over_1_percent"], told
        wait("pending", lambda: seen(prometheus, "pending"))
        if eventually(lambda: seen(prometheus, "firing"), 40):
            break
    wait("firing", lambda: seen(prometheus, "firing"))
    wait("PagerDuty is told", lambda: receivers.events(ALERT))
    wait("Slack is told", lambda: receivers.messages(ALERT))
    wait("the mailbox is told", lambda: receivers.mails(ALERT))
    wait(f"{MILDER} is inhibited", lambda: _inhibited(receivers, MILDER))
    wait("it is over", lambda: not active(prometheus))
    wait("PagerDuty hears of it", lambda: receivers.events(ALERT)[-1].event_action == "resolve")
    wait("Slack hears of it", lambda: "[RESOLVED]" in receivers.messages(ALERT)[-1].title)
    wait("the mailbox hears of it", lambda: "[RESOLVED]" in receivers.mails(ALERT)[-1].subject)
    print("".join(f"\n{after:7.1f} s  {step}" for step, after in steps))

    first, last = receivers.events(ALERT)[0], receivers.events(ALERT)[-1]
    assert first.payload is not None
    assert (first.event_action, first.payload.severity) == ("trigger", "critical")
    assert first.payload.summary.startswith("P0 HighErrorRate of accubooks: More than 1 %")
    assert [link.href for link in first.links] == [f"{RUNBOOKS}/{ALERT}.md"]
    assert first.dedup_key == last.dedup_key
    assert receivers.pager.incidents()[last.dedup_key or ""] == "resolved"
    (mail, *_) = receivers.mails(ALERT)
    assert mail.subject.startswith("[FIRING] P0 HighErrorRate of accubooks")
    assert f'href="{RUNBOOKS}/{ALERT}.md"' in mail.html
    (message, *_) = receivers.messages(ALERT)
    assert (message.color, message.title_link) == ("danger", f"{RUNBOOKS}/{ALERT}.md")


def _inhibited(receivers: Receivers, alert: str) -> bool:
    known = receivers.alertmanager.alerts(alertname=alert)
    return bool(known and known[0]["status"]["inhibitedBy"])
