"""Alertmanager's configuration, judged by amtool."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from otel_accubooks.contract.alerts import ALERTS, BY_NAME
from otel_accubooks.vendors.addresses import Addresses, Phone
from otel_accubooks.vendors.alertmanager import configuration

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
