"""Alertmanager's configuration, judged by amtool."""

from __future__ import annotations

import re
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest
import yaml

from otel_accubooks.contract.alert import CHANNELS
from otel_accubooks.contract.alerts import ALERTS, BY_NAME
from otel_accubooks.stack.files import PROMETHEUS, REPOSITORY
from otel_accubooks.vendors.addresses import Addresses, Phone
from otel_accubooks.vendors.alertmanager import PACES, configuration
from otel_accubooks.vendors.promql import duration

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
    runbooks="https://runbooks.example",
    email_from="alerts@books.example",
    smtp="mail.books.example:587",
    smtp_user="alerts",
    heartbeat_url="https://heartbeat.example/ping",
)


def amtool(*arguments: str | Path) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(configuration(TO), sort_keys=False))
    return path


@pytest.mark.parametrize("phone", ["pagerduty", "opsgenie", "webhook"])
def test_amtool_takes_it(phone: Phone, tmp_path: Path) -> None:
    """With each of the three ways to make a phone ring."""
    to = replace(TO, phone=phone, phone_url="https://phone.example/hook")
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(configuration(to)))
    assert "SUCCESS" in amtool("check-config", path)


@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("P0", "P0"), ("P1", "P1"), ("P2", "P2"), ("P3", "P3"), ("none", "heartbeat")],
)
def test_a_severity_has_its_receiver(severity: str, receiver: str, written: Path) -> None:
    told = amtool("config", "routes", "test", f"--config.file={written}", f"severity={severity}")
    assert told.strip() == receiver


def test_a_test_alert_goes_to_those_who_tell_real_ones(written: Path) -> None:
    """So that it tries their secrets and addresses; between them they have every channel."""
    told = amtool("config", "routes", "test", f"--config.file={written}", "severity=test")
    assert told.strip() == "P0,P3,escalation"


def test_two_tests_are_two_notifications() -> None:
    """They are told apart by their numbers; nothing else is grouped so."""
    grouped = {
        route["receiver"]
        for route in configuration(TO)["route"]["routes"]
        if "test" in route.get("group_by", ())
    }
    assert grouped == {"P0", "P3", "escalation"}


def test_data_integrity_goes_up_too(written: Path) -> None:
    """On top of the phone: whoever is named for escalation."""
    labels = ("severity=P0", "escalation=true")
    told = amtool("config", "routes", "test", f"--config.file={written}", *labels)
    assert told.strip() == "escalation,P0"


def test_receivers_have_the_channels_of_the_contract(written: Path) -> None:
    """Phone, e-mail and Slack for P0, and so on down; P3 has a channel of its own."""
    kinds = {
        "pagerduty_configs": "phone",
        "email_configs": "email",
        "slack_configs": "slack",
        "webhook_configs": "heartbeat",
    }
    found = {
        receiver["name"]: tuple(kinds[key] for key in receiver if key != "name")
        for receiver in configuration(TO)["receivers"]
    }
    expected = {a.severity: a.channels for a in ALERTS if not a.escalates}
    assert {name: found[name] for name in ("P0", "P1", "P2")} == {
        name: expected[name] for name in ("P0", "P1", "P2")
    }
    assert found["P3"] == ("slack",)
    (info,) = (r for r in configuration(TO)["receivers"] if r["name"] == "P3")
    assert info["slack_configs"][0]["channel"] == "#alerts-info"


def test_an_exhausted_pool_mutes_its_own_warnings_only() -> None:
    """Same service, same pool."""
    (rule,) = (
        rule
        for rule in configuration(TO)["inhibit_rules"]
        if rule["source_matchers"] == ['alertname="DatabasePoolExhaustion"']
    )
    assert rule["equal"] == ["job", "pool"]
    assert set(BY_NAME["DatabasePoolExhaustion"].mutes) == set(
        rule["target_matchers"][0].removeprefix('alertname=~"').removesuffix('"').split("|")
    )


def test_secrets_are_files(written: Path) -> None:
    """What is rendered holds the names of files, and nothing that opens anything."""
    content = written.read_text()
    for secret in ("slack_url", "pagerduty_key", "smtp_password"):
        assert f"/etc/alertmanager/secrets/{secret}" in content
    assert "api_url:" not in content
    assert "routing_key:" not in content


def test_every_receiver_hears_of_the_end() -> None:
    """But for the heartbeat, which has none."""
    for phone in get_args(Phone):
        for receiver in configuration(replace(TO, phone=phone, phone_url="https://x.example"))[
            "receivers"
        ]:
            configs = [config for key, kind in receiver.items() if key != "name" for config in kind]
            expected = receiver["name"] != "heartbeat"
            assert {config["send_resolved"] for config in configs} == {expected}


def test_the_heartbeat_beats_between_two_looks() -> None:
    """Whether it is time is asked when `changes` is over: a repetition that ends then comes a turn late."""
    pace = PACES["none"]
    assert pace.again % pace.changes > 0


def test_no_group_is_looked_at_while_prometheus_evaluates() -> None:
    """What has just changed for one of two Alertmanagers, and not yet for the other, is told by both."""
    (interval,) = {
        int(yaml.safe_load(path.read_text())["global"]["evaluation_interval"].removesuffix("s"))
        for path in PROMETHEUS.glob("prometheus*.yml")
    }
    for pace in PACES.values():
        looks = {(pace.gathered + turn * pace.changes) % interval for turn in range(interval)}
        assert min(looks) >= 1
        assert max(looks) <= interval - 1


def test_what_is_told_is_told_soon() -> None:
    """Within 5 s, whatever its severity; and the less urgent, the more rarely again."""
    paces = [PACES[severity] for severity in ("P0", "P1", "P2", "P3")]
    assert {pace.gathered for pace in paces} == {5}
    assert paces == sorted(paces, key=lambda pace: pace.again)


def test_the_info_channel_has_a_webhook_of_its_own() -> None:
    """Since a webhook of a Slack app writes to one channel."""
    secrets = {
        receiver["name"]: config["api_url_file"].rpartition("/")[2]
        for receiver in configuration(TO)["receivers"]
        for config in receiver.get("slack_configs", [])
    }
    assert secrets == dict.fromkeys(("P0", "P1", "P2"), "slack_url") | {"P3": "slack_info_url"}


def test_the_page_says_who_is_told() -> None:
    """The table of docs/alerts.md is that of the contract and of the configuration."""
    page = (REPOSITORY / "docs" / "alerts.md").read_text()
    for severity, pace in PACES.items():
        names = ", ".join(alert.name for alert in ALERTS if alert.severity == severity)
        times = " | ".join(map(duration, (pace.gathered, pace.changes, pace.again)))
        assert f"| {severity} | {names} | {', '.join(CHANNELS[severity])} | {times} |" in page


def test_the_page_names_every_address_and_secret() -> None:
    """Nothing can be set that is not told, and no secret is asked for that is not."""
    page = (REPOSITORY / "docs" / "alerting.md").read_text()
    assert [field.name for field in fields(Addresses) if f"`{field.name}`" not in page] == []
    rendered = "".join(
        str(configuration(replace(TO, phone=phone, phone_url="https://x.example")))
        for phone in get_args(Phone)
    )
    secrets = set(re.findall(rf"{TO.secrets}/(\w+)", rendered))
    assert {secret for secret in secrets if f"| `{secret}` |" not in page} == set()
    assert secrets == set(re.findall(r"^\| `(\w+_(?:url|key|token|password))` \|", page, re.M)) - {
        "phone_url",
        "heartbeat_url",
    }
