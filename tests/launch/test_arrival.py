"""What is said of sending, and how often."""

from __future__ import annotations

import logging
from enum import Enum
from pathlib import Path

import pytest

from otel_accubooks.launch import arrival
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.recorder import Recorder


class Result(Enum):
    SUCCESS = 0
    FAILURE = 1


class Exporter:
    """Logs what upstream's do when they fail; `reason` is empty where it succeeds."""

    def __init__(self) -> None:
        self.reason = ""

    def export(self, _: object) -> Result:
        if not self.reason:
            return Result.SUCCESS
        for word in ("", "again: "):
            logging.getLogger(__name__).warning("%s%s", word, self.reason)
        return Result.FAILURE


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a service of which this is a process, and has recorded nothing yet."""
    monkeypatch.setattr(arrival, "recorder", Recorder(StateFolder(tmp_path)))
    monkeypatch.setattr(arrival, "_said", set())
    return tmp_path


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def watched() -> Exporter:
    exporter = Exporter()
    arrival.watch(exporter, "spans", "TRACES")
    return exporter


def test_a_failure_is_said_once_by_all_processes(
    service: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What the exporters themselves would log, each time, is its reason; so is the end of it."""
    first, second = watched(), watched()
    for exporter in (first, second, first):
        exporter.reason = "connection refused"
        exporter.export([])
    assert said(caplog) == [
        "otel-accubooks: spans are not arriving at http://localhost:4318: connection refused; "
        "until it answers they are dropped"
    ]
    for exporter in (second, first):
        exporter.reason = ""
        exporter.export([])
    assert said(caplog) == ["otel-accubooks: spans are arriving again"]


@pytest.mark.parametrize("reason", ["code: 404, reason: Not Found", "StatusCode.UNIMPLEMENTED"])
def test_who_takes_no_spans_is_named(
    service: Path, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    """Nothing there will ever take them: the line says what ends it."""
    exporter = watched()
    exporter.reason = reason
    exporter.export([])
    (line,) = said(caplog)
    assert line.endswith("nothing there takes them: OTEL_TRACES_EXPORTER=none ends the attempts")


def test_without_a_folder_each_process_says_it(
    service: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing is shared, once is once in a process."""
    monkeypatch.setattr(arrival.recorder, "folder", None)
    arrival.say_once("x", "text")
    arrival.say_once("x", "text")
    assert said(caplog) == ["otel-accubooks: text"]
    assert list(service.iterdir()) == []


def test_before_there_is_a_folder_it_waits(
    service: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once the process records, or ends."""
    folder = service / "later"
    monkeypatch.setattr(arrival.recorder, "folder", StateFolder(folder))
    ends = []
    monkeypatch.setattr(arrival, "at_end", ends.append)
    arrival.say_once("x", "text")
    assert said(caplog) == []
    folder.mkdir()
    for end in ends:
        end(1.0)
    assert said(caplog) == ["otel-accubooks: text"]
