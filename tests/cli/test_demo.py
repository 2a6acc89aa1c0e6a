"""The demo, as a newcomer runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from otel_accubooks.stack.binaries import find_prometheus3

COMMAND = [str(Path(sys.executable).parent / "otel-accubooks"), "demo", "--rounds", "1"]


def demo(folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def started_from(folder: Path) -> list[str]:
    """Processes that still have to do with a demo in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            told = process.environ().get("OTEL_ACCUBOOKS_STATE_DIR", "")
        except psutil.Error:
            continue
        if str(folder) in line or str(folder) in told:
            found.append(line)
    return found


def test_both_backends_have_everything(tmp_path: Path) -> None:
    """Debian's Prometheus by remote write, and Datadog: 50 of 50, and nothing is left running."""
    done = demo(tmp_path, PROMETHEUS="/usr/bin/prometheus")
    assert done.returncode == 0, done.stdout
    assert "fed by remote write" in done.stdout
    assert "50 of 50 metrics arrived in Prometheus and in Datadog." in done.stdout
    assert started_from(tmp_path) == []


def test_prometheus_3_is_fed_by_otlp(tmp_path: Path) -> None:
    """Where the Prometheus at hand takes OTLP, that is the path, and it says so."""
    done = demo(tmp_path, "--backend", "prometheus", PROMETHEUS=str(find_prometheus3()))
    assert done.returncode == 0, done.stdout
    assert "fed by OTLP" in done.stdout
    assert "50 of 50 metrics arrived in Prometheus." in done.stdout


def test_what_did_not_arrive_is_named_and_fails(tmp_path: Path) -> None:
    """Without the queue's instrumentation the demo ends with 1 and says what is missing."""
    env = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "rq"}
    done = demo(tmp_path, "--backend", "datadog", "--wait", "15", **env)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "forecast_queue_depth" in line]
    assert "missing in Datadog" in line


def test_an_unknown_backend_is_a_clear_error(tmp_path: Path) -> None:
    """What was found, what was expected; nothing is started."""
    done = demo(tmp_path, "--backend", "datahog")
    assert done.returncode == 2
    assert (
        "'datahog': expected one or more of prometheus, prometheus-standby, datadog" in done.stderr
    )
    assert not (tmp_path / ".demo").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_leaves_nothing_running(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C in the middle ends every server that was started."""
    with subprocess.Popen(
        [*COMMAND, "--keep"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "gunicorn" in line:
                break
        process.send_signal(how)
        process.stdout.read()
        assert process.wait(60) in (130, 143)
    assert started_from(tmp_path) == []
