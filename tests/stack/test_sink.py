"""What every sink has: failures on command, counted requests, and state that outlives an outage."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from otel_accubooks.stack.datadog_intake import DatadogIntake

KEY = {"DD-API-KEY": "k"}
SERIES = {"series": [{"metric": "m", "type": 1, "points": [{"timestamp": 1, "value": 2}]}]}


@pytest.fixture
def intake() -> Iterator[DatadogIntake]:
    with DatadogIntake() as started:
        yield started


def post(sink: DatadogIntake, timeout: float = 5) -> int:
    url = f"{sink.url}/api/v2/series"
    return httpx.post(url, json=SERIES, headers=KEY, timeout=timeout, trust_env=False).status_code


def command(sink: DatadogIntake, **wanted: object) -> httpx.Response:
    return httpx.post(f"{sink.url}/_accubooks/fail", json=wanted, trust_env=False)


@pytest.mark.parametrize("status", [503, 429])
def test_it_refuses_so_many_requests_and_takes_nothing_meanwhile(
    intake: DatadogIntake, status: int
) -> None:
    """Told to refuse two requests it refuses exactly two, and nothing of them is counted."""
    assert command(intake, mode=str(status), for_requests=2).status_code == 200
    assert [post(intake) for _ in range(3)] == [status, status, 202]
    assert intake.value("m") == 2


def test_it_refuses_until_told_otherwise(intake: DatadogIntake) -> None:
    """Without a number the failure lasts until "ok"."""
    intake.fail("503")
    assert {post(intake) for _ in range(5)} == {503}
    intake.fail("ok")
    assert post(intake) == 202


def test_a_hanging_sink_never_answers(intake: DatadogIntake) -> None:
    """A client of a hanging sink meets its own time limit, and nothing was taken."""
    command(intake, mode="hang", for_requests=1)
    with pytest.raises(httpx.ReadTimeout):
        post(intake, timeout=0.3)
    assert post(intake) == 202
    assert intake.value("m") == 2


def test_a_resetting_sink_cuts_the_connection(intake: DatadogIntake) -> None:
    """A client of a resetting sink gets a TCP reset in place of an answer."""
    command(intake, mode="reset", for_requests=1)
    with socket.create_connection(("127.0.0.1", intake.port)) as client:
        client.sendall(b"POST /api/v2/series HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert post(intake) == 202


@pytest.mark.parametrize("wanted", [{"mode": "sulk"}, {"mode": "503", "for_requests": 0}, {}])
def test_a_wrong_command_is_refused(intake: DatadogIntake, wanted: dict[str, object]) -> None:
    """A command that makes no sense changes nothing and says what is expected."""
    answer = command(intake, **wanted)
    assert answer.status_code == 400
    assert "expected" in answer.text
    assert post(intake) == 202


def test_an_outage_ends_open_connections_and_keeps_port_and_state(intake: DatadogIntake) -> None:
    """stop cuts kept-alive connections too; start goes on at the same port with what was there."""
    with httpx.Client(trust_env=False, headers=KEY) as client:
        url = f"{intake.url}/api/v2/series"
        client.post(url, json=SERIES)
        intake.stop()
        with pytest.raises(httpx.NetworkError):
            client.post(url, json=SERIES)
        intake.start()
        assert client.post(url, json=SERIES).status_code == 202
    assert intake.value("m") == 4


def test_every_request_is_counted(intake: DatadogIntake) -> None:
    """Requests are counted by method, path and status, whatever became of them."""
    post(intake)
    httpx.get(f"{intake.url}/somewhere?q=1", headers=KEY, trust_env=False)
    httpx.get(f"{intake.url}/somewhere", trust_env=False)
    rows = httpx.get(f"{intake.url}/_accubooks/requests", trust_env=False).json()
    assert [(row["path"], row["status"], row["count"]) for row in rows] == [
        ("/somewhere", 202, 1),
        ("/somewhere", 403, 1),
        ("/api/v2/series", 202, 1),
    ]


def test_waiting_in_vain_shows_what_was_taken(intake: DatadogIntake) -> None:
    """The error of wait_for has the state in it, so that a failed test explains itself."""
    post(intake)
    with pytest.raises(TimeoutError, match=r"'metric': 'm'.*'value': 2.0"):
        intake.wait_for(lambda sink: sink.value("m") == 3, timeout=0.1)


@pytest.mark.parametrize(
    "module",
    [
        *("datadog_intake", "otlp_receiver"),
        *("slack_sink", "pager_sink", "opsgenie_sink", "webhook_sink"),
    ],
)
def test_it_runs_as_a_program(module: str) -> None:
    """Started as a module it says where it listens, answers there, and ends politely on SIGTERM."""
    argv = [sys.executable, "-m", f"otel_accubooks.stack.{module}", "--port", "0"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = re.search(r"http://127.0.0.1:\d+", process.stderr.readline())
        assert said
        assert httpx.get(f"{said[0]}/_accubooks/metrics", trust_env=False).json() == []
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=10) == 0
