"""Where a Grafana is looked for, and what it is started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.stack.grafana import ADMIN, Grafana, find_grafana
from otel_accubooks.stack.process import StartError

RENDERED = {"provisioning/dashboards/a.yml": "apiVersion: 1\n", "dashboards/team/one.json": "{}\n"}


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def installed(home: Path, name: str = "grafana") -> Path:
    """As the release's archive is unpacked: bin/ beside conf/."""
    (home / "conf").mkdir(parents=True, exist_ok=True)
    (home / "conf" / "defaults.ini").write_text("")
    return program(home / "bin" / name)


def test_grafana_home_comes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names one wants that one."""
    other, named = program(tmp_path / "usr" / "grafana"), installed(tmp_path / "home")
    monkeypatch.setenv("PATH", str(other.parent))
    monkeypatch.delenv("GRAFANA_HOME", raising=False)
    assert find_grafana() == other
    monkeypatch.setenv("GRAFANA_HOME", str(tmp_path / "home"))
    assert find_grafana() == named


def test_the_older_program_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """grafana-server, with no subcommand."""
    old = installed(tmp_path / "home", "grafana-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GRAFANA_HOME", str(tmp_path / "home"))
    assert find_grafana() == old
    server = Grafana(tmp_path / "data", old, RENDERED, "http://127.0.0.1:9090")
    assert server.argv == [str(old), f"--homepath={tmp_path / 'home'}"]


def test_none_is_no_error_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Grafana is one of several ways to look at the dashboards."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("GRAFANA_HOME", raising=False)
    assert find_grafana() is None
    assert capsys.readouterr() == ("", "")


def test_it_is_provisioned_with_what_was_rendered_and_nothing_older(tmp_path: Path) -> None:
    """Everything is in its folder, on 3001, seen by everybody, changed by the administrator."""
    binary = installed(tmp_path / "home")
    stale = tmp_path / "data" / "dashboards" / "old.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    server = Grafana(tmp_path / "data", binary, RENDERED, "http://127.0.0.1:9090")
    assert server.url == "http://127.0.0.1:3001"
    assert server.argv == [str(binary), "server", f"--homepath={tmp_path / 'home'}"]
    written = {name: (tmp_path / "data" / name).read_text() for name in RENDERED}
    assert written == RENDERED
    assert not stale.exists()
    assert server.env is not None
    assert server.env["PROMETHEUS_URL"] == "http://127.0.0.1:9090"
    assert server.env["ACCUBOOKS_DASHBOARDS"] == str(tmp_path / "data" / "dashboards")
    assert server.env["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert (server.env["GF_SECURITY_ADMIN_USER"], server.env["GF_SECURITY_ADMIN_PASSWORD"]) == ADMIN
    paths = [value for name, value in server.env.items() if name.startswith("GF_PATHS_")]
    assert all(Path(path).parent == tmp_path / "data" for path in paths)


def test_a_program_without_its_defaults_is_an_error_that_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Grafana itself would say so in its log only."""
    monkeypatch.delenv("GRAFANA_HOME", raising=False)
    binary = program(tmp_path / "bin" / "grafana")
    with pytest.raises(StartError, match=r"no conf/defaults.ini .*: set GRAFANA_HOME"):
        Grafana(tmp_path / "data", binary, RENDERED, "http://127.0.0.1:9090")
