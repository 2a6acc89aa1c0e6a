"""New Relic's way to the same boxes: everything is asked of the account over NerdGraph."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from otel_accubooks.apply import accounts
from otel_accubooks.apply.newrelic import changes
from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.contract.alerts import ALERTS, WATCHDOG
from otel_accubooks.contract.alerts import BY_NAME as ALERTS_BY_NAME
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.contract.query import Reachable
from otel_accubooks.servers.api import Api
from otel_accubooks.vendors.newrelic.conditions import conditions
from otel_accubooks.vendors.newrelic.dashboards import title
from otel_accubooks.vendors.newrelic.marks import policy
from otel_accubooks.verify import account, dashboards
from otel_accubooks.verify.account import Part, Seen
from otel_accubooks.verify.finding import Finding
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.metrics import GROUPS
from otel_accubooks.verify.newrelic_nrql import Points
from otel_accubooks.verify.newrelic_panels import Panels
from otel_accubooks.verify.newrelic_telling import muting_faults, open_incidents, telling_faults
from otel_accubooks.verify.trying import GIVES as TRIED
from otel_accubooks.verify.trying import look_test_alert
from otel_accubooks.verify.way import Site, Step, Way

_VENDOR = "New Relic"
_RETENTION = "30 days for points, and 13 months for what is added up by the minute"
_TELLING = ("destination", "channel", "workflow")


class _Account:
    """The looks at one account; each part may use what those before it found."""

    def __init__(self, api: Api, number: int, site: Site) -> None:
        self._api, self._site = api, site
        self._graph = NerdGraph(api, number)
        self._seen = Seen(_VENDOR, "`otel-accubooks apply newrelic`")
        self._points = Points(self._graph, site.servers.service)

    def parts(self) -> Iterator[Part]:
        """In the order in which they have to be gone through."""
        yield ("backend",), self._backend
        yield ("interval",), self._interval
        yield GROUPS, self._metrics
        created = tuple(map(dashboards.created, DASHBOARDS))
        yield (*created, "refresh"), self._dashboards
        for board in DASHBOARDS:
            yield (dashboards.shown(board),), partial(self._data, board)
        yield tuple(map(dashboards.access, dashboards.TEAMS)), self._access
        yield account.ALERT_NAMES, self._alerts
        yield ("recordings",), self._recordings
        yield ("calm", "told"), self._now
        yield ("heartbeat",), self._heartbeat
        yield ("retention",), self._retention
        yield ("pair", "standby"), lambda: account.second_backend(self._site)

    def _backend(self) -> Iterator[Look]:
        """The key is right, somebody sends, and what was sent last is of now."""
        self._site.say("New Relic, its key and its newest points")
        finding = Finding("backend")
        self._seen.service = self._points.found()
        age = time.time() - self._points.newest
        told = f"the newest point of {self._seen.service} is {age:.0f} s old"
        finding.evidence.append(f"{self._api.address}, account {self._graph.account}: {told}")
        if abs(age) > account.FRESH_SECONDS:
            finding.faults.append(
                f"{told}, expected at most {account.FRESH_SECONDS:.0f}: does the application run, and"
                " its gateway, and are their clocks right?"
            )
        yield finding.look("New Relic takes the key, and has points of now")

    def _interval(self) -> Iterator[Look]:
        yield account.interval_look(self._seen, self._points.per_minute(account.SPACING_MINUTES))

    def _metrics(self) -> Iterator[Look]:
        self._site.say("every metric in New Relic")
        self._seen.ages = self._points.ages()
        yield from account.metric_looks(self._seen)

    def _dashboards(self) -> Iterator[Look]:
        self._site.say("conditions, workflows and dashboards in New Relic")
        self._seen.changes = list(changes(self._api, self._site.to, self._graph.account))
        looks = [account.created_look(self._seen, one, title(one)) for one in DASHBOARDS]
        yield from looks
        refresh = Finding("refresh")
        # The refresh is a part of each widget.
        refresh.faults += [look.said for look in looks if look.state != "passed"]
        refresh.evidence += [
            f"{one.title}: every {one.refresh:g} s or sooner" for one in DASHBOARDS
        ]
        yield refresh.look("each widget is drawn anew as the contract says, or sooner")

    def _data(self, board: Dashboard) -> Iterator[Look]:
        self._site.say(f"the panels of {board.title} in New Relic")
        faults = Panels(self._graph).faults_of(board, self._seen.service)
        read = dashboards.metrics_of(board)
        ages = [age for name, age in self._seen.ages.items() if name in read]
        yield dashboards.data(
            board, _VENDOR, faults, self._seen.old(board), max(ages, default=None)
        )

    def _access(self) -> Iterator[Look]:
        """Dashboards are for everybody in the account; who that is, and what is public, is not told."""
        for team in dashboards.TEAMS:
            boards = [board for board in DASHBOARDS if team in board.teams]
            named = ", ".join(board.title for board in boards)
            finding = Finding(dashboards.access(team))
            finding.doubts.append(
                f"{named} is for everybody to read who is a user of account {self._graph.account}: "
                + (
                    "confirm that its public link is shared with the executives, and opens"
                    if boards[0].public
                    else f"confirm that the people of {team} are among them, and that it has no public link"
                )
            )
            yield finding.look("")

    def _alerts(self) -> Iterator[Look]:
        faults: dict[str, list[str]] = {}
        evidence: dict[str, list[str]] = {}
        for change in self._seen.changes:
            names = _alerts_of(change.kind, change.name)
            fault = account.change_fault(self._seen, change)
            for name in names:
                told = fault or f"{change.kind} {change.name}: as the contract has it"
                (faults if fault else evidence).setdefault(name, []).append(told)
        for name, fault in muting_faults(self._graph):
            faults.setdefault(name, []).append(fault)
        yield from account.alert_looks(self._seen, faults, evidence)

    def _recordings(self) -> Iterator[Look]:
        """What conditions ask is answered: nothing is recorded for them."""
        finding = Finding("recordings")
        for alert in ALERTS:
            for one in conditions(alert, self._site.to)["conditions"]:
                query = one["condition"]["nrql"]["query"]
                if wrong := self._points.refused(f"{query} SINCE 5 minutes ago"):
                    finding.faults.append(f"{alert.name} asks what New Relic refuses: {wrong}")
            finding.evidence.append(f"{alert.name}: answered")
        yield finding.look("what the conditions ask is answered")

    def _now(self) -> Iterator[Look]:
        calm, told = Finding("calm"), Finding("told")
        urgent = (
            *open_incidents(self._points, policy("P0")),
            *open_incidents(self._points, policy("P1")),
        )
        for name in urgent:
            calm.faults.append(f"an incident of {name} is open: see its runbook")
        yield calm.look("no incident of a P0 or P1 alert is open")
        for change in self._seen.changes:
            if change.kind in _TELLING:
                fault = account.change_fault(self._seen, change)
                told.faults += [fault] if fault else []
                told.evidence.append(f"{change.kind} {change.name}: {change.action}")
        told.faults += telling_faults(self._graph)
        yield told.look(
            "every workflow, channel and destination is as the contract has it, and active"
        )

    def _heartbeat(self) -> Iterator[Look]:
        finding = Finding("heartbeat")
        if not self._site.to.heartbeat_url:
            finding.faults.append(
                "heartbeat_url of alerting.toml is not set: have a dead-man's switch outside, name its"
                f" address there, bring it with {self._seen.bring}"
            )
            yield finding.look("")
            return
        if WATCHDOG not in open_incidents(self._points, policy("none")):
            finding.faults.append(
                f"no incident of {WATCHDOG} is open, expected one, always: do points come?"
            )
        host = urlsplit(self._site.to.heartbeat_url).hostname
        finding.doubts.append(
            f"whether the switch hears cannot be seen here: confirm that {host} had a beat lately"
        )
        yield finding.look("")

    def _retention(self) -> Iterator[Look]:
        yield account.retention_look(self._seen, self._points.old(account.DAYS), _RETENTION)


def _alerts_of(kind: str, name: str) -> list[str]:
    """The alerts that would be wrong if this were."""
    if kind == "condition":
        return [name.partition(" ")[0]] if name.partition(" ")[0] in ALERTS_BY_NAME else []
    if kind == "policy":
        return [alert.name for alert in ALERTS if policy(alert.severity) == name]
    if kind == "check":
        return [
            alert.name
            for alert in ALERTS
            if any(isinstance(condition.query, Reachable) for condition in alert.conditions)
        ]
    return []


def _look(site: Site) -> Iterator[Look]:
    try:
        api, number = accounts.newrelic(site.url, site.environ)
    except ValueError as error:
        yield from (Look(name, "failed", str(error)) for name in account.GIVES)
        return
    try:
        yield from account.looks(_VENDOR, _Account(api, number, site).parts())
    finally:
        api.close()


STEPS: Way = (
    Step("the account of New Relic", account.GIVES, _look),
    Step("a test alert, through New Relic", TRIED, lambda site: look_test_alert(site, "newrelic")),
)
