"""A real Alertmanager with the configuration that everybody is given."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from otel_accubooks.stack.alertmanager import PEER_TIMEOUT, Alertmanager, Cluster, write_secrets
from otel_accubooks.stack.binaries import NotFoundError, find_alertmanager
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.alertmanager import PACES

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
    with Alertmanager(tmp_path, find_alertmanager(), TO) as alertmanager:
        alertmanager.tell([{"labels": {"alertname": "Fire", "severity": "P0", "pool": "a"}}])
        (alert,) = alertmanager.alerts(alertname="Fire", pool="a")
        assert alert["status"]["state"] in ("active", "unprocessed")
        assert alertmanager.alerts(alertname="Water") == []


def test_what_is_no_alert_is_refused(tmp_path: Path) -> None:
    """As Alertmanager does itself."""
    with (
        Alertmanager(tmp_path, find_alertmanager(), TO) as alertmanager,
        pytest.raises(httpx.HTTPStatusError, match="400"),
    ):
        alertmanager.tell([{"labels": {"not a name": "x"}}])


def test_secrets_are_for_its_owner_alone(tmp_path: Path) -> None:
    """Each in a file of its own, which the configuration names and does not hold."""
    folder = tmp_path / "secrets"
    write_secrets(folder, {"pagerduty_key": "open sesame"})
    made = Alertmanager(tmp_path, Path("alertmanager"), replace(TO, secrets=str(folder)))
    file = folder / "pagerduty_key"
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


def test_one_of_several_knows_the_others_and_one_alone_asks_nobody(tmp_path: Path) -> None:
    """With its own port for that and theirs; alone it opens no port but its page's."""
    cluster = Cluster(9094, (9194, 9294))
    argv = Alertmanager(tmp_path, Path("alertmanager"), TO, cluster=cluster).argv
    assert [word for word in argv if word.startswith("--cluster")] == [
        "--cluster.listen-address=127.0.0.1:9094",
        "--cluster.peer-timeout=5s",
        "--cluster.peer=127.0.0.1:9194",
        "--cluster.peer=127.0.0.1:9294",
    ]
    alone = Alertmanager(tmp_path, find_alertmanager(), TO)
    assert [word for word in alone.argv if word.startswith("--cluster")] == [
        "--cluster.listen-address="
    ]
    with alone:
        assert alone.members() == 0


def test_the_younger_waits_for_longer_than_a_delivery_and_shorter_than_a_turn() -> None:
    """Else both would tell, or the younger would tell what the elder has told to be over."""
    shortest = min(pace.changes for pace in PACES.values())
    assert shortest >= 2 * PEER_TIMEOUT
    assert PEER_TIMEOUT >= 5
