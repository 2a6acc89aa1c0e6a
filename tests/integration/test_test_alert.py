"""A test alert on the real way: gateway, Prometheus, Alertmanager, and everybody whom it tells."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from conftest import eventually
from shortened import write_rules

from otel_accubooks.contract.alerts import BY_NAME
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.binaries import find_collector, find_prometheus
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.files import COLLECTOR
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.stack.receivers import ESCALATION, ON_CALL, Receivers
from otel_accubooks.trial import prometheus as way
from otel_accubooks.trial import test_alert
from otel_accubooks.trial.hop import Hop
from otel_accubooks.vendors.alertmanager import PACES, Pace

# One deployment is set up and looked at in whole, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)
TOKEN = "battery-staple"
PATIENCE = 60.0
QUICK = {**PACES, "test": Pace(1, 3, 3600)}  # the end is told a little sooner
ALERTS = [BY_NAME["TestAlert"], BY_NAME["Watchdog"]]
CHANNELS = {
    "PagerDuty", "phone", f"email to {ON_CALL}", f"email to {ESCALATION}", "Slack #alerts",
    "Slack #alerts-info",
}  # fmt: skip
COMMAND = """
import sys
from pathlib import Path
from otel_accubooks.cli.test_alert import run
from otel_accubooks.servers.settings import servers
from otel_accubooks.vendors.addresses import read

sys.exit(run(servers(None, {}), read(Path(sys.argv[1]))))
"""


@dataclass(frozen=True)
class Site:
    """What runs, and how it is asked for a test alert."""

    receivers: Receivers
    prometheus: Prometheus
    gateway: Collector
    rules: Path
    servers: Servers
    environ: dict[str, str]

    def run(self, **changes: str) -> dict[str, Hop]:
        hops = test_alert.run(
            replace(self.servers, **changes), self.receivers.to, environ=self.environ
        )
        return {hop.name: hop for hop in hops}

    def load(self, rules: Path) -> None:
        """Has Prometheus read these rules in place of its own."""
        self.rules.write_text(rules.read_text())
        os.kill(self.prometheus.pid, signal.SIGHUP)

    def rule_names(self) -> set[str]:
        with_rules = way.Prometheus(self.prometheus.url)
        try:
            return {rule["name"] for group in with_rules.rules() for rule in group["rules"]}
        finally:
            with_rules.close()

    def firing(self) -> bool:
        return bool(self.prometheus.query('ALERTS{alertname="TestAlert"}'))

    @property
    def alertmanager(self) -> str:
        return f"Alertmanager {self.receivers.alertmanager.url}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("test-alert")
    (folder / "tokens").write_text(TOKEN)
    with ExitStack() as running:
        receivers = running.enter_context(Receivers(folder / "alertmanager", paces=QUICK))
        rules = write_rules(ALERTS, folder / "rules.yml")
        prometheus = Prometheus(
            folder / "prometheus",
            find_prometheus(),
            targets={"alertmanager": [receivers.alertmanager.address]},
            rules=rules,
            scrape_interval="2s",
        )
        # What was told to nobody, before it had found its Alertmanager, is not told for a minute.
        prometheus.argv.append("--rules.alert.resend-delay=5s")
        running.enter_context(prometheus)
        backend = "prometheus" if prometheus.takes_otlp else "prometheus-remote-write"
        gateway = running.enter_context(
            Collector(
                folder / "gateway",
                find_collector(),
                [backend],
                env={
                    "PROMETHEUS_URL": prometheus.url,
                    "PROMETHEUS_REMOTE_WRITE_URL": f"{prometheus.url}/api/v1/write",
                    "GATEWAY_TOKENS_FILE": str(folder / "tokens"),
                },
                options=[COLLECTOR / "options" / "bearer-auth.yaml"],
            )
        )
        servers = replace(
            receivers.servers,
            prometheus=prometheus.url,
            gateway=gateway.otlp_url,
            service="accubooks",
        )
        headers = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {TOKEN}"}
        made = Site(receivers, prometheus, gateway, rules, servers, receivers.environment | headers)
        # Watchdog has been told: Prometheus has found its Alertmanager.
        known = receivers.alertmanager.alerts
        assert eventually(lambda: known(alertname="Watchdog"), PATIENCE)
        yield made


def states(hops: dict[str, Hop]) -> dict[str, str]:
    return {name: hop.state for name, hop in hops.items()}


def test_two_at_once_arrive_everywhere_and_end(site: Site) -> None:
    """Each is told once by each channel, under its own number, and leaves nothing behind."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: site.run(), range(2))
    for hops in (first, second):
        assert set(states(hops).values()) == {"arrived"}, hops
        assert test_alert.whole(list(hops.values()))
        on_the_way = {"gateway", "Prometheus", "rule", site.alertmanager, "the end"}
        ending = {"Prometheus", "rule", site.alertmanager, *CHANNELS} - {"phone"}
        assert hops.keys() == on_the_way | CHANNELS | {f"{name}: over" for name in ending}
    told = [part.title for m in site.receivers.slack.by("alerts") for part in m.attachments]
    numbers = {number for title in told for number in re.findall(r"TestAlert (\w{8})", title)}
    assert len(numbers) == 2
    for number in numbers:
        mine = [title for title in told if number in title]
        assert [title.partition("]")[0] for title in mine] == ["[FIRING", "[RESOLVED"]
    assert set(site.receivers.pager.incidents().values()) == {"resolved"}
    assert eventually(lambda: not site.firing(), PATIENCE)


def test_a_gateway_that_is_not_there_is_where_it_ends(site: Site) -> None:
    """Everything behind it was not reached, and that is said of each."""
    with ExitStack() as back:
        site.gateway.stop()
        back.callback(site.gateway.start)
        hops = site.run()
    assert set(states(hops).values()) == {"missing"}
    assert "is the gateway up" in hops["gateway"].said
    assert all(
        "got no further than gateway" in hop.said for hop in hops.values() if hop.name != "gateway"
    )


def test_a_token_that_is_refused_is_named(site: Site) -> None:
    """By its variable, and not by what is in it."""
    wrong = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer correct-horse"}
    hops = test_alert.run(site.servers, site.receivers.to, environ=site.environ | wrong)
    assert hops[0].name == "gateway"
    assert hops[0].state == "missing"
    assert "401" in hops[0].said
    assert "OTEL_EXPORTER_OTLP_HEADERS" in hops[0].said
    assert "correct-horse" not in "".join(hop.said for hop in hops)


def test_a_rule_that_is_not_loaded_is_missed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The points are there, and nobody evaluates them."""
    monkeypatch.setattr(way, "EVALUATED_SECONDS", 3.0)
    whole = tmp_path / "whole.yml"
    whole.write_text(site.rules.read_text())
    with ExitStack() as back:
        site.load(write_rules([BY_NAME["Watchdog"]], tmp_path / "less.yml"))
        back.callback(lambda: eventually(lambda: "TestAlert" in site.rule_names(), PATIENCE))
        back.callback(site.load, whole)
        assert eventually(lambda: "TestAlert" not in site.rule_names(), PATIENCE)
        hops = site.run()
    assert [hops[name].state for name in ("gateway", "Prometheus", "rule")] == [
        "arrived", "arrived", "missing",
    ]  # fmt: skip
    assert "no rule TestAlert" in hops["rule"].said
    assert hops["the end"].state == "arrived"


def test_an_alertmanager_that_is_dead_is_missed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fires, and nobody is told."""
    monkeypatch.setattr(way, "TOLD_SECONDS", 2.0)
    with ExitStack() as back:
        site.receivers.alertmanager.stop()
        back.callback(site.receivers.alertmanager.start)
        hops = site.run()
    assert [hops[name].state for name in ("rule", site.alertmanager)] == ["arrived", "missing"]
    assert "reachable" in hops[site.alertmanager].said
    assert {hops[name].state for name in CHANNELS} == {"missing"}
    assert hops["rule: over"].state == "arrived"


@contextmanager
def configured(site: Site, change: str) -> Iterator[None]:
    """Alertmanager with a route of this severity less."""
    alertmanager = site.receivers.alertmanager
    before = alertmanager.config.read_text()
    config = yaml.safe_load(before)
    routes = config["route"]["routes"]
    config["route"]["routes"] = [r for r in routes if r["matchers"] != [f'severity="{change}"']]
    alertmanager.config.write_text(yaml.safe_dump(config))
    os.kill(alertmanager.pid, signal.SIGHUP)
    try:
        yield
    finally:
        alertmanager.config.write_text(before)
        os.kill(alertmanager.pid, signal.SIGHUP)


def test_an_old_configuration_of_alertmanager_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the routes of a test it would tell P2's Slack alone."""
    monkeypatch.setattr(way, "TOLD_SECONDS", 12.0)
    with configured(site, "test"):
        assert eventually(lambda: routes_of(site) == ["P2"], PATIENCE)
        hops = site.run()
    assert eventually(lambda: routes_of(site) != ["P2"], PATIENCE)
    assert hops[site.alertmanager].state == "missing"
    assert "it tells P2, expected P0, P3, escalation" in hops[site.alertmanager].said


def routes_of(site: Site) -> list[str]:
    """Who would be told of a test, by the configuration that is loaded."""
    alertmanager = way.Alertmanager(site.receivers.alertmanager.url)
    try:
        loaded = yaml.safe_load(alertmanager.status()["config"]["original"])
    finally:
        alertmanager.close()
    routes = [r for r in loaded["route"]["routes"] if r.get("matchers") == ['severity="test"']]
    return [route["receiver"] for route in routes] or [loaded["route"]["receiver"]]


def test_each_channel_that_is_broken_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revoked webhook, a wrong key, a mail that is accepted and dropped; what is left arrives.

    The mails and messages of earlier tests are still there, and not taken for this one's.
    """
    monkeypatch.setattr(test_alert, "ARRIVED_SECONDS", 15.0)
    key = Path(site.receivers.to.secrets) / "pagerduty_key"
    right = key.read_text()
    with ExitStack() as back:
        back.callback(key.write_text, right)
        key.write_text("0" * 32)
        back.callback(site.receivers.slack.revoke, "alerts", gone=False)
        site.receivers.slack.revoke("alerts")
        back.callback(site.receivers.mailbox.lose, mails=False)
        site.receivers.mailbox.lose()
        hops = site.run()
    # Of an address that is not the mailbox's own nobody can tell.
    assert hops[f"email to {ESCALATION}"].state == "unseen"
    broken = CHANNELS - {"Slack #alerts-info", f"email to {ESCALATION}"}
    assert {hops[name].state for name in broken} == {"missing"}, hops
    assert hops["Slack #alerts-info"].state == "arrived"
    assert re.search("failed .* to tell slack", hops["Slack #alerts"].said)
    assert re.search("failed .* to tell pagerduty", hops["PagerDuty"].said)
    assert "without an error" in hops[f"email to {ON_CALL}"].said


def test_a_mail_that_is_refused_and_a_phone_that_nobody_answers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one failed, and of the other nobody can tell: PagerDuty has it, and called nobody."""
    monkeypatch.setattr(test_alert, "ARRIVED_SECONDS", 12.0)
    with ExitStack() as back:
        back.callback(site.receivers.mailbox.fail, "")
        site.receivers.mailbox.fail("550 5.7.1 not from you")
        back.callback(setattr, site.receivers.pager, "on_call", site.receivers.pager.on_call)
        site.receivers.pager.on_call = None
        hops = site.run()
    mails = [hops[f"email to {address}"].state for address in (ON_CALL, ESCALATION)]
    assert mails == ["missing", "missing"]
    assert re.search("failed .* to tell email", hops[f"email to {ON_CALL}"].said)
    assert hops["PagerDuty"].state == "arrived"
    assert hops["phone"].state == "unseen"
    assert not test_alert.whole(list(hops.values()))


def test_without_a_gateway_alertmanager_is_told_directly(site: Site) -> None:
    """What was not tried is said; Watchdog shows that Prometheus tells Alertmanager. A person is
    asked about what no token lets us read."""
    asked: list[str] = []
    tokens = ("SLACK_TOKEN", "PAGERDUTY_API_TOKEN")
    environ = {name: value for name, value in site.environ.items() if name not in tokens}

    def confirm(question: str) -> bool:
        asked.append(question)
        return True

    told = test_alert.run(
        replace(site.servers, gateway=""), site.receivers.to, environ=environ, confirm=confirm
    )
    hops = {hop.name: hop for hop in told}
    not_tried = {name for name, hop in hops.items() if hop.state == "unseen"}
    assert not_tried == {"gateway", "Prometheus", "rule"}, hops
    assert "not tried" in hops["rule"].said
    assert hops["Watchdog"].state == "arrived"
    assert test_alert.whole(told)
    assert not test_alert.whole([hop for hop in told if hop.name != "Watchdog"])
    assert len(asked) == 3  # the phone, and two channels of Slack
    assert "a person confirmed it" in hops["phone"].said
    assert hops[f"{site.alertmanager}: over"].state == "arrived"


def test_whoever_interrupts_it_leaves_nothing_firing(site: Site, tmp_path: Path) -> None:
    """The command ends the alert before it ends itself."""
    to = site.receivers.to
    file = tmp_path / "alerting.toml"
    file.write_text(
        f'application = "{to.application}"\nemail = ["{ON_CALL}"]\n'
        f'escalation_email = ["{ESCALATION}"]\n'
    )
    servers = {
        "OTEL_SERVICE_NAME": "accubooks",
        "PROMETHEUS_URL": site.prometheus.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": site.gateway.otlp_url,
    }
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, file],
        env={**os.environ, **site.environ, **servers},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert eventually(site.firing, PATIENCE)
        command.send_signal(signal.SIGINT)
        said, _ = command.communicate(timeout=PATIENCE)
    finally:
        command.kill()
    assert command.returncode == 130
    assert said.endswith("Stopped; the test alert is ended.\n")
    assert eventually(lambda: not site.firing(), PATIENCE)
