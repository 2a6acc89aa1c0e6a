"""A soak of the real thing: stable while all is well, and what was broken on purpose is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import BIN, eventually
from people import People
from shortened import EVALUATED, write_rules

from otel_accubooks.cli.soak import run
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.deployment import Deployment
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.stack.receivers import Receivers

# One deployment is set up and looked at in whole, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)
SECONDS = 12.0
BROKEN_SECONDS = 28.0
# Longer than what a soak calls a gap.
OUTAGE_SECONDS = 17.0

LEAKY = """
import threading, time
from flask import Flask
app = Flask(__name__)
kept = []

def leak():
    while True:
        kept.append(bytearray(b"x") * 2_000_000)
        time.sleep(0.2)

@app.get("/")
def begin():
    threading.Thread(target=leak, daemon=True).start()
    return "it begins"
"""


@dataclass
class Site:
    """A deployment with people in it, everybody whom it tells, and its rules."""

    folder: Path
    deployment: Deployment
    prometheus: Prometheus
    receivers: Receivers
    rules: Path

    @property
    def servers(self) -> Servers:
        return Servers(
            prometheus=self.prometheus.url, alertmanager=(self.receivers.alertmanager.url,)
        )

    def quiet(self) -> bool:
        """True while the heartbeat is all that fires, and every scrape succeeds."""
        alerts = {row["alertname"] for row, _ in self.prometheus.query("ALERTS")}
        scrapes = [value for _, value in self.prometheus.query("up")]
        sent = self.prometheus.query("rate(system_uptime_seconds[15s]) > 0")
        return alerts == {"Watchdog"} and len(scrapes) >= 3 and min(scrapes) == 1 and bool(sent)

    def soaked(self, seconds: float, name: str) -> tuple[int, dict[str, Any]]:
        """The exit code of a soak, and its report for machines."""
        folder = self.folder / name
        code = run(self.servers, seconds=seconds, past=False, folder=folder)
        return code, read(folder)


def read(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("stability_*Z.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def said(report: dict[str, Any], state: str) -> list[str]:
    """What was found, of one state."""
    return [
        one["said"]
        for section in report["sections"]
        for one in section["findings"]
        if one["state"] == state
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("soak")
    rules = write_rules(list(ALERTS), folder / "rules.yml")
    with ExitStack() as stack:
        receivers = stack.enter_context(Receivers(folder / "alertmanager"))
        deployment = stack.enter_context(
            Deployment(
                folder,
                ("prometheus",),
                workers=2,
                threads=4,
                settings={"OTEL_METRIC_EXPORT_INTERVAL": "1000"},
                rules=rules,
                scrape_interval="2s",
                alertmanager=receivers.alertmanager.address,
            )
        )
        deployment.start(print)
        assert deployment.prometheus is not None
        stack.enter_context(People(deployment.url))
        site = Site(folder, deployment, deployment.prometheus, receivers, rules)
        assert eventually(site.quiet, 90), site.prometheus.query("ALERTS or up")
        yield site


@pytest.fixture(scope="module")
def calm(site: Site) -> tuple[int, dict[str, Any]]:
    return site.soaked(SECONDS, "calm")


def test_a_deployment_that_is_well_is_stable(calm: tuple[int, dict[str, Any]]) -> None:
    """With exit code 0, and nothing that failed."""
    code, report = calm
    assert said(report, "failed") == []
    assert (code, report["verdict"]) == (0, "STABLE")


def test_processes_servers_and_totals_were_looked_at(calm: tuple[int, dict[str, Any]]) -> None:
    """What a soak could not see would be among what passed for nobody."""
    passed = " ".join(said(calm[1], "passed"))
    for what in (
        "memory of the exporter of accubooks",
        "descriptors of accubooks",
        "complained of nothing",
        "notifications:",
        "totals are what the application counted",
        "cores on average",
    ):
        assert what in passed


def test_an_hour_is_not_judged_by_seconds(calm: tuple[int, dict[str, Any]]) -> None:
    """No threshold is suggested, and no latency compared."""
    advice = {one["suggestion"]["advice"] for one in calm[1]["baseline"]}
    assert advice == {"too little"}
    assert any(
        "too short to tell whether requests get slower" in one for one in said(calm[1], "unseen")
    )


def test_who_ends_it_early_has_a_report_of_what_was_seen(site: Site) -> None:
    """It ends with 130, and is no day of stability."""
    folder = site.folder / "ended"
    program = (
        "import sys; from pathlib import Path; from otel_accubooks.cli.soak import run\n"
        "from otel_accubooks.servers.settings import Servers\n"
        f"sys.exit(run({site.servers!r}, seconds=86400, past=False, folder=Path({str(folder)!r})))"
    )
    log = site.folder / "ended.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-u", "-c", program], stdout=output, stderr=output
        ) as soak,
    ):
        assert eventually(lambda: "Watching for 1 d" in log.read_text())
        time.sleep(2)
        soak.send_signal(signal.SIGINT)
        assert soak.wait(60) == 130, log.read_text()
    report = read(folder)
    assert report["verdict"] in ("UNFINISHED", "NOT STABLE")
    assert "of the 1 d that were asked for" in report["headline"]


@pytest.fixture(scope="module")
def broken(site: Site) -> dict[str, Any]:
    """A soak in which the gateway is away for a while, a second service leaks and an alert flaps."""
    _add_flapping(site)
    with _leaky(site):
        outage = threading.Thread(target=_outage, args=(site,))
        outage.start()
        code, report = site.soaked(BROKEN_SECONDS, "broken")
        outage.join()
    assert code == 1
    return report


def _add_flapping(site: Site) -> None:
    """A rule whose threshold is passed every few seconds."""
    content = yaml.safe_load(site.rules.read_text())
    labels = {"severity": "P2", "job": "accubooks"}
    rule = {"alert": "TooSensitive", "expr": "vector(time()) % 6 < 2", "labels": labels}
    content["groups"].append({"name": "flapping", "interval": EVALUATED, "rules": [rule]})
    site.rules.write_text(yaml.safe_dump(content))
    os.kill(site.prometheus.pid, signal.SIGHUP)
    assert eventually(lambda: site.prometheus.query('ALERTS{alertname="TooSensitive"}'))


def _leaky(site: Site) -> ExitStack:
    port = free_port()
    (site.folder / "leaky.py").write_text(LEAKY)
    env = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "OTEL_SERVICE_NAME": "leaky",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{site.deployment.ports.otlp_http}",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_ACCUBOOKS_STATE_DIR": str(site.folder / "leaky-state"),
    }
    argv = ["opentelemetry-instrument", "gunicorn", "-b", f"127.0.0.1:{port}", "leaky:app"]
    stack = ExitStack()
    stack.enter_context(
        Server(
            "leaky",
            argv,
            log=site.folder / "leaky.log",
            env=env,
            cwd=site.folder,
            ready=lambda: tcp_open(port),
        )
    )
    import httpx

    httpx.get(f"http://127.0.0.1:{port}/", timeout=30).raise_for_status()
    leaks = 'process_memory_usage_bytes{job="leaky"}'
    assert eventually(lambda: site.prometheus.query(leaks))
    return stack


def _outage(site: Site) -> None:
    """The gateway is killed in the middle, and started again."""
    time.sleep(4)
    site.deployment.gateway.kill()
    time.sleep(OUTAGE_SECONDS)
    site.deployment.gateway.start()


def test_an_outage_of_the_gateway_is_named(broken: dict[str, Any]) -> None:
    """As a gap of the service, a scrape without answer and a restart."""
    failed = said(broken, "failed")
    assert any(one.startswith("accubooks: nothing arrived for") for one in failed), failed
    assert any(one.startswith("scrape of otel-gateway") for one in failed), failed
    assert any(one.startswith("gateway ") and "was restarted once" in one for one in failed), failed


def test_what_the_exporter_said_meanwhile_is_repeated(broken: dict[str, Any]) -> None:
    """It knows why nothing arrives."""
    failed = said(broken, "failed")
    assert any("the exporter of accubooks said" in one and "not arriving" in one for one in failed)


def test_an_application_that_leaks_is_named(broken: dict[str, Any]) -> None:
    """And none that does not."""
    leaks = [one for one in said(broken, "failed") if "does it leak?" in one]
    assert len(leaks) == 1, leaks
    assert leaks[0].startswith("memory of leaky")


def test_an_alert_that_flaps_is_named(broken: dict[str, Any]) -> None:
    """With how often it fired."""
    (flaps,) = [one for one in said(broken, "failed") if "flaps" in one]
    assert flaps.startswith("TooSensitive flaps")
