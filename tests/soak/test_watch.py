"""Being there meanwhile, also while Prometheus is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_accubooks.cli.soak import run
from otel_accubooks.servers.api import Api
from otel_accubooks.servers.prometheus import Prometheus as Client
from otel_accubooks.servers.settings import Servers
from otel_accubooks.soak.watch import Watch
from otel_accubooks.stack.binaries import find_prometheus
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.prometheus import Prometheus


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api._sent.retry, "sleep", lambda _: None)  # type: ignore[attr-defined]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Prometheus]:
    with Prometheus(tmp_path / "prometheus", find_prometheus()) as server:
        yield server


def test_a_prometheus_that_is_away_for_a_while_is_a_finding(server: Prometheus) -> None:
    """And ends nothing: the watch goes on, and is over when its time is."""
    watch = Watch(Client(server.url), Servers(prometheus=server.url, alertmanager=()))
    watch.begin()
    server.stop()
    progress: list[float] = []

    def seen(over: float) -> None:
        progress.append(over)
        server.start()

    watch.until(3, seen)
    watch.finish()
    (finding,) = watch.findings()
    assert finding.state == "failed"
    assert finding.said.startswith("Prometheus did not answer from ")
    assert watch.end - watch.start >= 3
    assert progress == sorted(progress)


def test_no_prometheus_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its address, and exit code 1."""
    nobody = f"http://127.0.0.1:{free_port()}"
    assert run(Servers(prometheus=nobody), seconds=5, folder=tmp_path) == 1
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("No report. ")
    assert nobody in said


def test_a_folder_that_takes_no_report_is_named_before_the_watch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a day later. It was asked wrongly: exit code 2."""
    (tmp_path / "taken").write_text("a file")
    assert run(Servers(), seconds=86400, folder=tmp_path / "taken") == 2
    assert f"{tmp_path / 'taken'} takes no report" in capsys.readouterr().out
