"""What the exporter says, and for how long."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from otel_accubooks.export.spawn import read_notes, read_problem
from otel_accubooks.export.status import Status


@pytest.fixture
def status(tmp_path: Path) -> Status:
    return Status(tmp_path / "status")


def test_a_failure_is_said_until_it_is_over(status: Status, tmp_path: Path) -> None:
    """The first warning is the reason; the next success ends it."""
    status.listen()
    logging.getLogger("x").warning("connection refused")
    logging.getLogger("x").warning("giving up")
    status.sent(False)
    said = read_problem(tmp_path / "status")
    assert said is not None
    assert "http://localhost:4318: connection refused;" in said
    status.sent(True)
    assert read_problem(tmp_path / "status") is None


def test_one_outage_is_not_said_each_time(status: Status, tmp_path: Path) -> None:
    """What differs in its numbers, or comes and goes, was said already; another kind was not."""
    told = []
    for reason in ("no answer in 1.2 s", "no answer in 3.4 s", "401", "no answer in 5.6 s", "401"):
        status.listen()
        logging.getLogger("x").warning(reason)
        status.sent(False)
        told.append(read_problem(tmp_path / "status"))
    assert len(set(told)) == 2
    status.sent(True)
    assert read_problem(tmp_path / "status") is None
    status.listen()
    logging.getLogger("x").warning("no answer in 7.8 s")
    status.sent(False)
    assert "no answer in 7.8 s" in (read_problem(tmp_path / "status") or "")


def test_a_successor_ends_what_its_predecessor_said(status: Status, tmp_path: Path) -> None:
    """It stands while the successor has not sent anything, and is over once it has."""
    status.sent(False)
    successor = Status(tmp_path / "status")
    assert read_problem(tmp_path / "status") is not None
    successor.sent(True)
    assert read_problem(tmp_path / "status") is None


def test_a_secret_in_the_address_is_not_told(
    status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither user, password nor query of the endpoint are in the text."""
    endpoint = "http://user:canary1@127.0.0.1:4317/?key=canary2"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    status.listen()
    logging.getLogger("x").warning("Max retries exceeded with url: /?key=canary2 (refused)")
    status.sent(False)
    said = read_problem(tmp_path / "status") or ""
    assert "canary" not in said
    assert "http://127.0.0.1:4317 (4317 is usually the gRPC port" in said


def test_no_room_for_it_is_survived(tmp_path: Path) -> None:
    """A folder that is gone, or full, costs the sentence and nothing else."""
    Status(tmp_path / "gone" / "status").sent(False)


def test_what_stands_is_said_beside_what_succeeds(status: Status, tmp_path: Path) -> None:
    """Each problem is told until it is over, whatever arrives elsewhere."""
    status.say("name", "no name")
    status.say("page", "no port")
    status.sent(True)
    assert read_problem(tmp_path / "status") == "no name; no port"
    status.say("page", None)
    assert read_problem(tmp_path / "status") == "no name"
    status.say("name", None)
    assert read_problem(tmp_path / "status") is None


def test_a_note_is_written_once_and_outlives_its_exporter(status: Status, tmp_path: Path) -> None:
    """Notes have a place in a row, from which it is known which were logged."""
    for text in ("first", "second", "first"):
        status.note(text)
    successor = Status(tmp_path / "status")
    successor.note("third")
    assert read_notes(tmp_path / "status") == ["first", "second", "third"]
