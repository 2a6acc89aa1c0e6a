"""Who is told of alerts, by a real Alertmanager: by phone, by mail, in Slack, and by silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import eventually
from receivers import ESCALATION, RUNBOOKS, Receivers, firing, over

PATIENCE = 60.0


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    with Receivers(tmp_path_factory.mktemp("alertmanager")) as receivers:
        yield receivers


def wait(condition: Callable[[], object], what: str) -> None:
    assert eventually(condition, PATIENCE), what


def test_p1_is_told_by_mail_and_in_slack(told: Receivers) -> None:
    """Nobody's phone rings. All that heard of it hear that it is over, too."""
    alert = firing("HighLatency")
    told.tell(alert)
    wait(lambda: told.mails("HighLatency") and told.messages("HighLatency"), "P1 was not told")
    told.tell(over(alert))
    wait(lambda: len(told.mails("HighLatency")) == 2, "no mail says that it is over")
    wait(lambda: len(told.messages("HighLatency")) == 2, "Slack does not say that it is over")
    first, last = told.mails("HighLatency")
    assert first.subject.startswith("[FIRING] P1 HighLatency of accubooks: One request in twenty")
    assert last.subject.startswith("[RESOLVED] P1 HighLatency")
    assert [message.color for message in told.messages("HighLatency")] == ["danger", "good"]
    assert not told.events("HighLatency")
    assert not told.mails("HighLatency", to=ESCALATION)


def test_a_mail_says_what_when_and_what_to_do(told: Receivers) -> None:
    """In HTML and in plain text: what was measured, since when, how soon to look, the runbook."""
    told.tell(firing("DatabaseConnectionErrors"))
    wait(lambda: told.mails("DatabaseConnectionErrors"), "there is no mail")
    (mail,) = told.mails("DatabaseConnectionErrors")
    assert f'href="{RUNBOOKS}/DatabaseConnectionErrors.md"' in mail.html
    assert f"Runbook: {RUNBOOKS}/DatabaseConnectionErrors.md" in mail.text
    for part in (mail.html, mail.text):
        assert "UTC" in part
        assert "Look at it within 15m." in part
        assert "https://books.example" in part
    assert "DatabaseConnectionErrors: 7 &gt; 1" in mail.html
    assert "DatabaseConnectionErrors: 7 > 1" in mail.text


def test_p2_is_told_in_slack_alone(told: Receivers) -> None:
    """With its runbook, and with what Slack would take for markup spelt out."""
    told.tell(firing("CacheEvictionsHigh"))
    wait(lambda: told.messages("CacheEvictionsHigh"), "Slack was not told")
    (message,) = told.messages("CacheEvictionsHigh")
    assert message.color == "warning"
    assert message.title_link == f"{RUNBOOKS}/CacheEvictionsHigh.md"
    assert f"<{RUNBOOKS}/CacheEvictionsHigh.md|Runbook>" in message.text
    assert "7 &gt; 1" in message.text
    assert not told.mails("CacheEvictionsHigh")
    assert not told.events("CacheEvictionsHigh")


def test_p3_is_told_in_the_info_channel(told: Receivers) -> None:
    """By the webhook of that channel, which is no other's."""
    told.tell(firing("TierLimitHitsHigh"))
    wait(lambda: told.messages("TierLimitHitsHigh", "info"), "the info channel was not told")
    assert not told.messages("TierLimitHitsHigh")
    assert not told.mails("TierLimitHitsHigh")


def test_data_integrity_goes_up(told: Receivers) -> None:
    """The phone, the mail and Slack of every P0, and a mail to those who answer for the data."""
    told.tell(firing("DataIntegrityIssue"))
    wait(lambda: told.mails("DataIntegrityIssue", to=ESCALATION), "it did not go up")
    wait(lambda: told.mails("DataIntegrityIssue"), "there is no mail")
    wait(lambda: told.messages("DataIntegrityIssue"), "Slack was not told")
    wait(lambda: told.events("DataIntegrityIssue"), "the phone did not ring")
    assert "Look at it at once." in told.messages("DataIntegrityIssue")[0].text


def test_pools_of_a_service_are_one_notification(told: Receivers) -> None:
    """Another service is another incident: PagerDuty calls nobody again for one that is known."""
    told.tell(
        firing("DatabasePoolExhaustion", pool="main"),
        firing("DatabasePoolExhaustion", pool="reports"),
        firing("DatabasePoolExhaustion", pool="main", job="payroll"),
    )
    wait(lambda: len(told.events("DatabasePoolExhaustion")) == 2, "there are not two incidents")
    of = {e.payload.component: e for e in told.events("DatabasePoolExhaustion") if e.payload}
    assert of["accubooks"].payload is not None
    assert of["accubooks"].payload.custom_details["num_firing"] == "2"
    assert of["accubooks"].dedup_key != of["payroll"].dedup_key
    wait(lambda: len(told.mails("DatabasePoolExhaustion")) == 2, "there are not two mails")
    (mail,) = (m for m in told.mails("DatabasePoolExhaustion") if "of accubooks" in m.subject)
    assert mail.subject.startswith("[FIRING:2] P0")
    assert "pool main, since" in mail.text
    assert "pool reports, since" in mail.text


def test_exhaustion_mutes_the_warnings_of_its_own_pool(told: Receivers) -> None:
    """What says the same of the same pool less urgently is silent; of another service it is told."""
    exhausted = firing("DatabasePoolExhaustion", pool="inner", job="muted")
    told.tell(exhausted)
    wait(lambda: told.alertmanager.alerts(alertname="DatabasePoolExhaustion", job="muted"), "it")
    muted = firing("DatabasePoolUtilizationHigh", pool="inner", job="muted")
    told.tell(muted, firing("DatabasePoolUtilizationHigh", pool="inner", job="heard"))

    def suppressed(job: str) -> bool:
        known = told.alertmanager.alerts(alertname="DatabasePoolUtilizationHigh", job=job)
        return bool(known and known[0]["status"]["inhibitedBy"])

    wait(lambda: suppressed("muted"), "the warning is not inhibited")
    wait(lambda: told.mails("DatabasePoolUtilizationHigh of heard"), "the other is not told")
    assert not suppressed("heard")
    assert not told.mails("DatabasePoolUtilizationHigh of muted")


def test_the_heartbeat_goes_on(told: Receivers) -> None:
    """The dead-man's switch hears of the alert that always fires, and nobody else does."""
    told.tell(firing("Watchdog"))
    wait(lambda: len(told.heartbeat.taken()) >= 3, "the heart beats too rarely")
    beats = told.heartbeat.taken()
    assert {beat.commonLabels["alertname"] for beat in beats} == {"Watchdog"}
    assert {beat.status for beat in beats} == {"firing"}
    assert not told.messages("Watchdog")


@pytest.mark.parametrize("channel", ["slack", "pager", "mailbox"])
def test_a_channel_that_is_down_is_told_when_it_is_back(told: Receivers, channel: str) -> None:
    """The other two are told meanwhile; nothing is lost."""
    service = f"without-{channel}"
    alert = firing("SystemUnhealthy", job=service)
    heard = {
        "slack": lambda: [m for m in told.messages("SystemUnhealthy") if service in m.title],
        "pager": lambda: [
            e
            for e in told.events("SystemUnhealthy")
            if e.payload and e.payload.component == service
        ],
        "mailbox": lambda: told.mails(f"SystemUnhealthy of {service}"),
    }
    down = getattr(told, channel)
    down.fail("451 4.3.2 the mailbox is busy" if channel == "mailbox" else "503")
    try:
        told.tell(alert)
        for other in heard.keys() - {channel}:
            wait(heard[other], f"{other} was not told while {channel} was down")
        assert not heard[channel]()
    finally:
        down.fail("" if channel == "mailbox" else "ok")
    wait(heard[channel], f"{channel} was not told when it was back")


def test_opsgenie_opens_an_alert_and_closes_it(tmp_path: Path) -> None:
    """Where the phone is Opsgenie's: its Alert API, with its key, closed by the same alias."""
    with Receivers(tmp_path, "opsgenie") as told:
        alert = firing("HighErrorRate")
        told.tell(alert)
        wait(told.opsgenie.taken, "Opsgenie was not told")
        told.tell(over(alert))
        wait(lambda: len(told.opsgenie.taken()) == 2, "Opsgenie's alert was not closed")
        created, closed = told.opsgenie.taken()
        assert (created.action, closed.action) == ("create", "close")
        assert created.alias == closed.alias
        assert created.priority == "P1"
        assert created.message.startswith("P0 HighErrorRate of accubooks: ")
        assert created.details["runbook"] == f"{RUNBOOKS}/HighErrorRate.md"


def test_a_webhook_shows_its_token(tmp_path: Path) -> None:
    """Where the phone is one's own: Alertmanager's JSON, with the bearer token of the secret file."""
    with Receivers(tmp_path, "webhook") as told:
        alert = firing("HighErrorRate")
        told.tell(alert)
        wait(told.webhook.taken, "the webhook was not called")
        told.tell(over(alert))
        wait(lambda: len(told.webhook.taken()) == 2, "the webhook does not hear of the end")
        assert [group.status for group in told.webhook.taken()] == ["firing", "resolved"]
        assert {(group.path, group.token) for group in told.webhook.taken()} == {
            ("/page", told.token)
        }
