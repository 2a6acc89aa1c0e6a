"""What is wrong in the configuration is said at start, in one line, and the application runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otel_accubooks.stack.ports import free_port, http_ok
from tests.reliability import configuration
from tests.reliability.configuration import application, command


def test_a_wrong_setting_is_said_before_the_first_request(tmp_path: Path) -> None:
    """One line each, and the request is answered; a limit that no counter can hold is one of them."""
    env = {
        "OTEL_ACCUBOOKS_SERIES_LIMIT": "9" * 30,
        "OTEL_ACCUBOOKS_RULE": "rules.toml",
        "OTEL_SERVICE_NAME": os.fsdecode(b"books\xff"),
    }
    told = application(tmp_path, env)
    assert (told.status, told.traceback) == (0, False)
    begins = [line.split(" is ")[0] for line in told.at_start]
    assert begins == [
        "otel-accubooks: OTEL_ACCUBOOKS_SERIES_LIMIT",
        "otel-accubooks: OTEL_SERVICE_NAME",
        "otel-accubooks: OTEL_ACCUBOOKS_RULE",
    ]


def test_the_sdk_does_not_say_again_what_was_said(tmp_path: Path) -> None:
    """Of a batch's size it would write a traceback, of a header the token."""
    env = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_BSP_MAX_QUEUE_SIZE": "many",
        "OTEL_TRACES_SAMPLER": "sometimes",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization: Bearer sesame",
    }
    told = application(tmp_path, env)
    assert (told.status, told.traceback) == (0, False)
    named = ("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_HEADERS")
    for name in named:
        assert sum(f" {name} is " in line for line in told.at_start) == 1, told
    assert "sesame" not in "".join(told.lines)
    others = [line for line in told.lines if line not in told.at_start]
    assert not any(name in line or "sampler" in line for line in others for name in named), told


def test_each_fault_of_the_rules_is_a_line_at_start(tmp_path: Path) -> None:
    """With file and line; and none of the rules counts."""
    rules = tmp_path / "rules.toml"
    rules.write_text('[[request]]\nmethod = "post"\nroute = "x"\nstatus = 201\n')
    told = application(tmp_path, {"OTEL_ACCUBOOKS_RULES": str(rules)})
    assert told.status == 0
    assert [line.partition(f"{rules}:")[2][0] for line in told.at_start] == ["1", "2", "3"]
    assert all("no business rule is applied" in line for line in told.at_start)


@pytest.mark.parametrize("words", [(), ("--preload",)])
def test_of_several_workers_one_says_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    """When they are started, whether or not the application was loaded before them."""
    (tmp_path / "books.py").write_text("from flask import Flask\napp = Flask('books')\n")
    port = free_port()
    programs = Path(sys.executable).parent
    argv = [
        programs / "opentelemetry-instrument",
        programs / "gunicorn",
        "-w",
        "3",
        "-b",
        f"127.0.0.1:{port}",
        *words,
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    env |= {
        "OTEL_SERVICE_NAME": "books",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_ACCUBOOKS_STATE_DIR": str(tmp_path / "state"),
        "OTEL_ACCUBOOKS_SERIES_LIMIT": "many",
    }
    log = tmp_path / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [*argv, "books:app"],
            env=env, cwd=tmp_path, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        give_up = time.monotonic() + 60
        while log.read_text().count("Booting worker") < 3 and time.monotonic() < give_up:
            time.sleep(0.1)
        while "SERIES_LIMIT" not in log.read_text() and time.monotonic() < give_up:
            time.sleep(0.1)
        time.sleep(1)  # for a second one, if there was one
        assert log.read_text().count("OTEL_ACCUBOOKS_SERIES_LIMIT is 'many', expected") == 1
        assert not http_ok(f"http://127.0.0.1:{port}/"), "there is no such page, and it says so"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def test_what_is_right_is_silent(tmp_path: Path) -> None:
    """Not a line where there is nothing to say."""
    told = application(tmp_path, {"OTEL_ACCUBOOKS_SERIES_LIMIT": "3000"})
    assert told.lines == (configuration.SERVED,)


def test_it_can_be_checked_before_it_is_deployed(tmp_path: Path) -> None:
    """The same lines, all at once, and exit status 1."""
    rules = tmp_path / "rules.toml"
    rules.write_text("[[request]\n")
    env = {"OTEL_ACCUBOOKS_RULES": str(rules), "OTEL_METRIC_EXPORT_INTERVAL": "15s"}
    told = command(tmp_path, ["check"], env)
    assert told.status == 1
    assert [line.split(" is ")[0] for line in told.lines[:1]] == ["OTEL_METRIC_EXPORT_INTERVAL"]
    assert told.lines[1].startswith(f"{rules}:1:10: ")
    rules.write_text("")
    good = command(tmp_path, ["check"], {"OTEL_ACCUBOOKS_RULES": str(rules)})
    assert good.status == 0
    assert "Nothing wrong found" in good.line
