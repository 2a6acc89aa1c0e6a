"""A real Alertmanager with the configuration that everybody is given."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx
import pytest

from otel_accubooks.stack.alertmanager import Alertmanager
from otel_accubooks.stack.binaries import NotFoundError, find_alertmanager
from otel_accubooks.vendors.addresses import Addresses

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
    runbooks="https://runbooks.example",
    smtp="127.0.0.1:1",
    smtp_user="alerts",
)


def test_it_starts_without_any_secret(tmp_path: Path) -> None:
    """Files are read when somebody is to be told: whoever has none yet sees the alerts all the same."""
    with Alertmanager(tmp_path, find_alertmanager(), TO, {}) as alertmanager:
        alertmanager.tell([{"labels": {"alertname": "Fire", "severity": "P0", "pool": "a"}}])
        (alert,) = alertmanager.alerts(alertname="Fire", pool="a")
        assert alert["status"]["state"] in ("active", "unprocessed")
        assert alertmanager.alerts(alertname="Water") == []


def test_what_is_no_alert_is_refused(tmp_path: Path) -> None:
    """As Alertmanager does itself."""
    with (
        Alertmanager(tmp_path, find_alertmanager(), TO, {}) as alertmanager,
        pytest.raises(httpx.HTTPStatusError, match="400"),
    ):
        alertmanager.tell([{"labels": {"not a name": "x"}}])


def test_secrets_are_for_its_owner_alone(tmp_path: Path) -> None:
    """Each in a file of its own, which the configuration names and does not hold."""
    made = Alertmanager(tmp_path, Path("alertmanager"), TO, {"pagerduty_key": "open sesame"})
    file = tmp_path / "secrets" / "pagerduty_key"
    assert file.read_text() == "open sesame"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in made.config.read_text()
    assert "open sesame" not in made.config.read_text()


def test_without_an_alertmanager_it_is_said_where_to_have_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line with what to do."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("ALERTMANAGER", raising=False)
    with pytest.raises(NotFoundError, match="apt-get install prometheus-alertmanager"):
        find_alertmanager()
