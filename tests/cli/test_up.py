"""`otel-accubooks up`, as its users run it; but for the ports, which others of this machine may have."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from otel_accubooks.cli.commands import commands
from otel_accubooks.servers.settings import servers
from otel_accubooks.stack import local
from otel_accubooks.stack.collector import GatewayPorts
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server
from otel_accubooks.vendors.addresses import read

ELSEWHERE = """
import sys
from otel_accubooks.stack import dashboards, local
from otel_accubooks.stack.collector import GatewayPorts
from otel_accubooks.stack.ports import free_port
local.GATEWAY = GatewayPorts()
local.PROMETHEIS = {name: free_port() for name in local.PROMETHEIS}
local.ALERTMANAGERS = (free_port(), free_port())
dashboards._or_free = lambda _: free_port()
from otel_accubooks.cli.main import main
main()
"""


class Up(Server):
    """The command in `folder`, with these arguments."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(
            "otel-accubooks up",
            [sys.executable, "-c", ELSEWHERE, "up", *arguments],
            log=folder / "up.log",
            cwd=folder,
            env={**os.environ, "COLUMNS": "40"},
            ready=lambda: "Ctrl-C ends it all." in self.said(),
            stop_signal=signal.SIGINT,
        )

    def said(self) -> str:
        return self.log.read_text()

    def address(self, name: str) -> str:
        (found,) = re.findall(rf"^{name} +(\S.*)$", self.said(), re.MULTILINE)
        return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    with Up(folder, "--backend", "prometheus,prometheus-standby").start(120) as running:
        yield running


def test_everything_that_is_named_answers(up: Up) -> None:
    """Gateway, both Prometheis, the pair of Alertmanagers, dashboards and stand-ins."""
    names = ("Prometheus", "Standby", "Dashboards", "Executives", "Slack", "Pager")
    for name in names:
        assert httpx.get(up.address(name), follow_redirects=True).status_code == 200, name
    for address in up.address("Alertmanager").split(", "):
        peers = httpx.get(f"{address}/api/v2/status").json()["cluster"]["peers"]
        assert len(peers) in (1, 2), "they may not have met yet"
    taken = httpx.post(f"{up.address('OTLP')}/v1/metrics", json={"resourceMetrics": []})
    assert taken.status_code == 200


def test_what_is_said_has_no_colour_where_nobody_looks(up: Up) -> None:
    """Plain lines in a log, and none is broken."""
    assert "\x1b" not in up.said()
    assert f"  export OTEL_EXPORTER_OTLP_ENDPOINT={up.address('OTLP')}" in up.said()


def test_the_other_commands_are_handed_the_addresses(up: Up) -> None:
    """The file that is named says where all of it is, and whom alerts tell."""
    file = up.cwd / ".accubooks" / "alerting.toml"  # type: ignore[operator]
    assert read(file).email
    found = servers(file, {}, {})
    assert found.prometheus == up.address("Prometheus")
    assert found.standby == up.address("Standby")
    assert ", ".join(found.alertmanager) == up.address("Alertmanager")


def test_the_rules_are_there(up: Up) -> None:
    """Prometheus evaluates the contract's alerts, from the first moment."""
    groups = httpx.get(f"{up.address('Prometheus')}/api/v1/rules").json()["data"]["groups"]
    assert "Watchdog" in {rule["name"] for group in groups for rule in group["rules"]}


def test_ctrl_c_ends_it_all(tmp_path: Path) -> None:
    """Nothing is left running; exit status 0, since it did what it was asked for."""
    up = Up(tmp_path).start(120)
    port = int(up.address("Prometheus").rpartition(":")[2])
    os.kill(up.pid, signal.SIGINT)
    assert up._process is not None
    assert up._process.wait(60) == 0
    assert not tcp_open(port)
    assert "nothing is left running, the data stays in .accubooks" in up.said()
    up.stop()


def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(local, "GATEWAY", GatewayPorts(otlp_http=port))
        monkeypatch.setattr(local, "PROMETHEIS", {"prometheus": free_port()})
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(commands, ["up"])
    assert done.exit_code == 1
    assert f"port {port}, which the gateway would listen on, is taken" in done.output


def test_a_key_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the file that says what it is."""
    monkeypatch.delenv("DD_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(commands, ["up", "--backend", "datadog"])
    assert done.exit_code == 1
    assert "backends/datadog.yaml:" in done.output
    assert "DD_API_KEY is not set, expected in the environment" in done.output


@pytest.mark.parametrize("name", ["GATEWAY_OTLP_HOST", "GATEWAY_STATSD_HOST"])
def test_it_is_for_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """An address for others is refused, since nobody said who of them may send."""
    monkeypatch.setenv(name, "0.0.0.0")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(commands, ["up"])
    assert done.exit_code == 1
    assert f"{name} is '0.0.0.0', which gateway.yaml alone does not take" in done.output


def test_an_unknown_backend_is_asked_wrongly(tmp_path: Path) -> None:
    """Exit status 2, with those that there are."""
    done = CliRunner().invoke(commands, ["up", "--backend", "graphite"])
    assert done.exit_code == 2
    assert "expected one or more of datadog, newrelic, otlp, prometheus" in done.output


def test_addresses_that_are_named_must_be_there(tmp_path: Path) -> None:
    """The file that one names by hand is no wish; only the usual one may be missing."""
    done = CliRunner().invoke(commands, ["up", "--addresses", str(tmp_path / "none.toml")])
    assert done.exit_code == 2
    assert "there is no " in done.output


def test_the_shell_completes(tmp_path: Path) -> None:
    """bash, zsh and fish are told how; bash asks, and is answered."""
    env = {**os.environ, "COMP_WORDS": "otel-accubooks re", "COMP_CWORD": "1"}
    argv = [str(Path(sys.executable).with_name("otel-accubooks"))]
    for shell in ("bash", "zsh", "fish"):
        env["_OTEL_ACCUBOOKS_COMPLETE"] = f"{shell}_source"
        told = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
        assert "_OTEL_ACCUBOOKS_COMPLETE" in told
    env["_OTEL_ACCUBOOKS_COMPLETE"] = "bash_complete"
    told = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
    assert told == "plain,render\n"
