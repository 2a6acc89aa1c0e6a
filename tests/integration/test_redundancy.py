"""Alerting of which any part may die: two Prometheis, a pair of Alertmanagers, a switch outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import eventually
from receivers import RULES, RUNBOOKS, Receivers

from otel_accubooks.contract.alert import Severity
from otel_accubooks.stack.alertmanager import Alertmanager
from otel_accubooks.stack.binaries import find_collector, find_prometheus
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.dead_mans_switch import INCIDENT, DeadMansSwitch
from otel_accubooks.stack.pager_sink import PagerSink
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.vendors.alertmanager import PACES, Pace
from tests.collector.otlp_application import Application

# One deployment is set up and looked at in whole, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)


ALERT = "SystemUnhealthy"  # P0: phone, mail and Slack
PATIENCE = 60.0
# As in earnest, a group is never looked at while Prometheus evaluates: a second lies in between. What
# the younger Alertmanager leaves to the older is more than a delivery takes, and less than `changes`.
EVALUATED, PEER_TIMEOUT = "2s", 4.0
QUICK: Mapping[Severity, Pace] = {
    severity: Pace(1, 6, 5) if severity == "none" else Pace(1, 6, 3600) for severity in PACES
}
# What Prometheus says of an alert holds for four times as long, if it is not said again.
RESENT_SECONDS = 3
BEATS_MISSED_SECONDS = 20.0
FIRING = {"phone": ["trigger"], "mail": ["FIRING"], "slack": ["FIRING"]}
BOTH = {
    "phone": ["trigger", "resolve"],
    "mail": ["FIRING", "RESOLVED"],
    "slack": ["FIRING", "RESOLVED"],
}


class Pair(Receivers):
    """Everybody who is told, and two Alertmanagers that write down each look at a group."""

    def __init__(self, folder: Path, switch: DeadMansSwitch) -> None:
        super(Receivers, self).__init__(
            folder, runbooks=RUNBOOKS, paces=QUICK,
            pair=True, peer_timeout=PEER_TIMEOUT, heartbeat=switch,
        )  # fmt: skip

    def _made(self) -> tuple[Alertmanager, ...]:
        made = super()._made()
        for alertmanager in made:
            alertmanager.argv.append("--log.level=debug")
        return made


class Site:
    """Two of everything, and a service for each alert: one that is unhealthy fires."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.called = running.enter_context(PagerSink())
        self.switch = DeadMansSwitch(BEATS_MISSED_SECONDS, f"{self.called.url}/v2/enqueue")
        self.told = running.enter_context(Pair(folder / "alertmanager", self.switch))
        self.alertmanagers = self.told.alertmanagers
        rules, binary, ports = _rules(folder / "rules.yml"), find_prometheus(), _ports()
        self.prometheis = []
        for name, port in ports.items():
            made = Prometheus(
                folder / name, binary, rules=rules, port=port,
                targets={"alertmanager": [one.address for one in self.alertmanagers]},
            )  # fmt: skip
            made.argv.append(f"--rules.alert.resend-delay={RESENT_SECONDS}s")
            self.prometheis.append(running.enter_context(made))
        primary, standby = self.prometheis
        self.gateway = running.enter_context(
            Collector(
                folder / "gateway",
                find_collector(),
                [
                    "prometheus" if primary.takes_otlp else "prometheus-remote-write",
                    "prometheus-standby",
                ],
                env={
                    "PROMETHEUS_URL": primary.url,
                    "PROMETHEUS_REMOTE_WRITE_URL": f"{primary.url}/api/v1/write",
                    "PROMETHEUS_STANDBY_URL": standby.url,
                },
            )
        )
        self.requests = self._application("requests")

    def _application(self, service: str) -> Application:
        application = Application(f"{service}-1")
        application.resource["service.name"] = service
        return application

    def health(self, service: str, value: int) -> None:
        """The service says how it is: 0 makes the alert fire, 1 ends it."""
        application = self._application(service)
        application.set("system_health_status", value)
        application.push(self.gateway.otlp_url)

    def heard(self, service: str) -> dict[str, list[str]]:
        """What each channel was told of the service, in its order."""
        events = [
            e for e in self.told.events(ALERT) if e.payload and e.payload.component == service
        ]
        of = f"{ALERT} of {service}:"
        mails = [m.subject for m in self.told.mails(of)]
        shown = [m.title for m in self.told.messages(ALERT) if of in m.title]
        return {
            "phone": [event.event_action for event in events],
            "mail": [subject.partition("]")[0].strip("[") for subject in mails],
            "slack": [title.partition("]")[0].strip("[") for title in shown],
        }

    def hears(self, service: str, told: Mapping[str, list[str]]) -> None:
        """Everybody hears this of the service."""
        assert eventually(lambda: self.heard(service) == told, PATIENCE), self.heard(service)

    def hears_no_more_than(self, service: str, told: Mapping[str, list[str]]) -> None:
        """Everybody hears this of the service, and nothing after that."""
        self.hears(service, told)
        state = "resolved" if told == BOTH else "active"
        for one in self.alertmanagers:
            if one.running:
                wait(lambda one=one: _told_long_since(one, service, state), f"{one.log} of {state}")
        assert self.heard(service) == told


def _told_long_since(alertmanager: Alertmanager, service: str, state: str) -> bool:
    """Whether it could have told of the service, too, by now.

    A member waits for its turn in each look at a group, and a group is looked at again only after that. The
    heartbeat's group has been looked at twice since the service's was: as many seconds were waited there.
    """
    ours = [at for at, line in _looks(alertmanager, service) if f"[{state}]" in line]
    return (
        bool(ours) and len([at for at, _ in _looks(alertmanager, "Watchdog") if at > ours[0]]) >= 2
    )


def _looks(alertmanager: Alertmanager, group: str) -> list[tuple[int, str]]:
    """Number in the log, and line, of each look at the group of this alert, or of this service."""
    lines = enumerate(alertmanager.log.read_text().splitlines())
    return [(at, line) for at, line in lines if "msg=flushing" in line and group in line]


def _rules(path: Path) -> Path:
    chosen = [{**RULES[name], "for": "0s"} for name in (ALERT, "Watchdog")]
    groups = [{"name": "accubooks", "interval": EVALUATED, "rules": chosen}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def _ports() -> dict[str, int]:
    return {"prometheus": free_port(), "standby": free_port()}


def wait(condition: Callable[[], object], what: str) -> None:
    assert eventually(condition, PATIENCE), what


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as running:
        made = Site(tmp_path_factory.mktemp("site"), running)
        for one in made.alertmanagers:
            wait(lambda one=one: one.members() == 2, f"{one.url} does not see both")
        made.health("standing", 0)
        yield made


def test_in_normal_running_everybody_hears_once(site: Site) -> None:
    """Two Prometheis tell two Alertmanagers: phone, mail and Slack hear once of an alert and of its end."""
    site.health("books", 0)
    for prometheus in site.prometheis:
        wait(lambda p=prometheus: _fires(p, "books"), "only one of them sees it")
    for one in site.alertmanagers:
        wait(lambda one=one: one.alerts(alertname=ALERT, job="books"), "one was not told")
    site.hears("books", FIRING)
    site.health("books", 1)
    site.hears_no_more_than("books", BOTH)


def test_one_heart_beats(site: Site) -> None:
    """Both look at the heartbeat, and for each look there is one beat; the switch calls nobody."""
    for one in site.alertmanagers:
        wait(lambda one=one: len(_looks(one, "Watchdog")) >= 4, "it does not know the heartbeat")
    beats, looks = len(site.switch.taken()), len(_looks(site.alertmanagers[0], "Watchdog"))
    # Who of them beats may change, which makes the time between two beats a little shorter, once.
    assert 2 <= beats < 1.5 * looks
    assert not site.called.taken()


def test_an_alertmanager_is_killed(site: Site) -> None:
    """The elder, which tells, dies as an alert comes: the other tells it. Back, it repeats nothing."""
    elder, other = site.alertmanagers
    # Whoever dies between telling and saying so to the other is told for once more.
    site.hears_no_more_than("standing", FIRING)
    elder.kill()
    beats = len(site.switch.taken())
    site.health("without-alertmanager", 0)
    site.hears_no_more_than("without-alertmanager", FIRING)
    wait(lambda: len(site.switch.taken()) > beats, "the heart stands still")
    wait(lambda: other.members() == 1, "it does not notice that it is alone")
    elder.log.unlink()
    elder.start()
    for service in ("without-alertmanager", "standing"):
        site.hears_no_more_than(service, FIRING)
    assert [one.members() for one in site.alertmanagers] == [2, 2]
    assert not site.called.taken()


def test_a_prometheus_is_killed(site: Site) -> None:
    """The gateway feeds the other, which tells what is new; what stands is not said to be over."""
    primary, standby = site.prometheis
    site.hears("standing", FIRING)
    primary.kill()
    killed = time.time()
    _request(site, 5)
    wait(lambda: _requests(standby) == 5, "the standby is not fed")
    site.health("without-prometheus", 0)
    site.hears("without-prometheus", FIRING)
    # By then nothing holds any more that the dead one said.
    lapsed = killed + 4 * RESENT_SECONDS
    for one in site.alertmanagers:
        wait(lambda one=one: time.time() > lapsed and _until(one, "standing") > lapsed, "it lapses")
    primary.start()
    wait(lambda: _requests(primary) == 5, "what it missed does not come")
    wait(lambda: _fires(primary, "standing"), "it does not see what stands")
    site.health("without-prometheus", 1)
    site.hears_no_more_than("without-prometheus", BOTH)
    assert site.heard("standing") == FIRING
    assert not site.called.taken()


def test_everything_that_tells_is_dead(site: Site) -> None:
    """Nobody is left to say so, but the switch outside, which hears nothing and calls."""
    for server in (*site.alertmanagers, *site.prometheis):
        server.kill()
    wait(site.called.taken, "nobody is called")
    assert site.switch.late
    assert site.called.incidents() == {INCIDENT: "triggered"}


def _fires(prometheus: Prometheus, service: str) -> bool:
    fires = f'ALERTS{{alertname="{ALERT}",alertstate="firing",job="{service}"}}'
    return bool(prometheus.query(fires))


def _request(site: Site, number: int) -> None:
    for _ in range(number):
        site.requests.count("http_requests_total")
        site.requests.push(site.gateway.otlp_url)


def _requests(prometheus: Prometheus) -> float:
    return sum(value for _, value in prometheus.query('http_requests_total{job="requests"}'))


def _until(alertmanager: Alertmanager, service: str) -> float:
    """Until when it takes the alert for lasting; 0 if it knows none."""
    known: list[dict[str, Any]] = alertmanager.alerts(alertname=ALERT, job=service)
    ends = [datetime.fromisoformat(one["endsAt"].replace("Z", "+00:00")) for one in known]
    return max((end.timestamp() for end in ends), default=0)
