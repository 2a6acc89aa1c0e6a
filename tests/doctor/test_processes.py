"""Which processes are taken for applications."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from otel_accubooks.doctor import launcher, processes
from otel_accubooks.doctor.examination import examine
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.servers.settings import Servers


def test_a_plain_script_is_an_application_only_if_it_imports_flask(tmp_path: Path) -> None:
    """Other Python processes of a machine are left alone, and are no fault."""
    web = tmp_path / "web.py"
    web.write_text("import flask, time\nprint('up', flush=True)\ntime.sleep(600)\n")
    other = tmp_path / "other.py"
    other.write_text("import time\nprint('up', flush=True)\ntime.sleep(600)\n")
    running = [
        subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, cwd=tmp_path)
        for path in (web, other)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
        found = {a.first.pid for a in processes.look().applications}
        assert running[0].pid in found
        assert running[1].pid not in found
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_a_process_that_is_not_there() -> None:
    """A number that names nothing is told, instead of an empty look that seems healthy."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    report = examine(Servers(prometheus=""), {}, pids=[ended.pid])
    assert "no-such-process" in {finding.kind.id for finding in report.findings}
    assert report.ill


def test_a_wrapper_is_named(tmp_path: Path) -> None:
    """The number of a shell that started the application stands for what is below it."""
    (tmp_path / "web.py").write_text(
        "import flask, time\nprint('up', flush=True)\ntime.sleep(600)\n"
    )
    command = [*("sh", "-c"), f"{sys.executable} web.py; true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as shell:
        try:
            assert shell.stdout is not None
            assert shell.stdout.readline() == b"up\n"
            report = examine(Servers(prometheus=""), {}, pids=[shell.pid])
            assert {finding.kind.id for finding in report.findings} == {"launcher-not-used"}
        finally:
            for child in psutil.Process(shell.pid).children():
                child.kill()


def test_nothing_runs() -> None:
    """Where no application is seen, that is a finding, and says among how many processes."""
    scene = Scene(Servers(prometheus=""), {}, processes=processes.Processes(looked_at=7))
    (found,) = launcher.check(scene)
    assert found.kind.id == "no-application"
    assert "7 processes" in found.found
