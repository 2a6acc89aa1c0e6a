"""Datadog's way to the same boxes: everything is asked of the account's API.

https://docs.datadoghq.com/api/latest/
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from otel_accubooks.apply import accounts
from otel_accubooks.apply.datadog import changes
from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.alerts import BY_NAME as ALERTS_BY_NAME
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.servers.api import Api
from otel_accubooks.vendors.datadog.messages import handles
from otel_accubooks.verify import account, dashboards
from otel_accubooks.verify.account import Part, Seen
from otel_accubooks.verify.datadog_access import access_looks
from otel_accubooks.verify.datadog_channels import channel_faults, heartbeat_look
from otel_accubooks.verify.datadog_monitors import Monitors
from otel_accubooks.verify.datadog_panels import faults_of
from otel_accubooks.verify.datadog_points import Points
from otel_accubooks.verify.finding import Finding
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.metrics import GROUPS
from otel_accubooks.verify.trying import GIVES as TRIED
from otel_accubooks.verify.trying import look_test_alert
from otel_accubooks.verify.way import Site, Step, Way

_VENDOR = "Datadog"
_RETENTION = "15 months for its metrics, and one day on its free plan"


class _Account:
    """The looks at one account; each part may use what those before it found."""

    def __init__(self, api: Api, site: Site) -> None:
        self._api, self._site = api, site
        self._seen = Seen(_VENDOR, "`otel-accubooks apply datadog`")
        self._points = Points(api, site.servers.service)

    def parts(self) -> Iterator[Part]:
        """In the order in which they have to be gone through."""
        yield ("backend",), self._backend
        yield ("interval",), self._interval
        yield GROUPS, self._metrics
        yield tuple(map(dashboards.created, DASHBOARDS)), self._dashboards
        for board in DASHBOARDS:
            yield (dashboards.shown(board),), partial(self._data, board)
        yield ("refresh",), lambda: [account.refresh_look(self._seen)]
        teams = tuple(map(dashboards.access, dashboards.TEAMS))
        yield teams, lambda: access_looks(self._api)
        yield account.ALERT_NAMES, self._alerts
        yield ("recordings",), self._recordings
        yield ("calm", "told"), self._now
        yield ("heartbeat",), lambda: [heartbeat_look(self._api, self._site.to, self._monitors())]
        yield ("retention",), self._retention
        yield ("pair", "standby"), lambda: account.second_backend(self._site)

    def _backend(self) -> Iterator[Look]:
        """The keys are right, somebody sends, and what was sent last is of now."""
        self._site.say("Datadog, its keys and its newest points")
        finding = Finding("backend")
        if not self._api.ask("GET", "/api/v1/validate").get("valid"):
            finding.faults.append("Datadog says that DD_API_KEY is not valid: make a new one there")
        self._seen.service = self._points.found()
        age = self._points.age()
        finding.evidence.append(
            f"{self._api.address}: newest point of {self._seen.service} {age:.0f} s old"
        )
        if age > account.FRESH_SECONDS:
            finding.faults.append(
                f"the newest point of {self._seen.service} is {age:.0f} s old, expected at most"
                f" {account.FRESH_SECONDS:.0f}: does the application run, and its gateway?"
            )
        elif age < -account.FRESH_SECONDS:
            finding.faults.append(f"the newest point is {-age:.0f} s ahead: set the clocks by NTP")
        yield finding.look("Datadog takes the keys, and has points of now")

    def _interval(self) -> Iterator[Look]:
        yield account.interval_look(self._seen, self._points.per_minute(account.SPACING_MINUTES))

    def _metrics(self) -> Iterator[Look]:
        self._site.say("every metric in Datadog")
        self._seen.ages = self._points.ages()
        yield from account.metric_looks(self._seen)

    def _dashboards(self) -> Iterator[Look]:
        self._site.say("monitors and dashboards in Datadog")
        self._seen.changes = list(changes(self._api, self._site.to))
        for board in DASHBOARDS:
            yield account.created_look(self._seen, board, board.name)

    def _data(self, board: Dashboard) -> Iterator[Look]:
        self._site.say(f"the panels of {board.title} in Datadog")
        faults = faults_of(self._api, board, self._points.scope)
        read = dashboards.metrics_of(board)
        ages = [age for name, age in self._seen.ages.items() if name in read]
        yield dashboards.data(
            board, _VENDOR, faults, self._seen.old(board), max(ages, default=None)
        )

    def _monitors(self) -> Monitors:
        return Monitors(self._api)

    def _alerts(self) -> Iterator[Look]:
        monitors = self._monitors()
        faults: dict[str, list[str]] = {}
        evidence: dict[str, list[str]] = {}
        for change in self._seen.changes:
            name = change.name.partition(".")[0].partition(":")[0]
            if change.kind in ("monitor", "check") and name in ALERTS_BY_NAME:
                fault = account.change_fault(self._seen, change)
                (faults if fault else evidence).setdefault(name, []).append(
                    fault or f"{change.name}: as the contract has it"
                )
        for name, fault in monitors.silent():
            faults.setdefault(name, []).append(fault)
        yield from account.alert_looks(self._seen, faults, evidence)

    def _recordings(self) -> Iterator[Look]:
        """What monitors ask is answered, and percentiles are there to be asked for."""
        finding = Finding("recordings")
        for change in self._seen.changes:
            if change.kind == "tag configuration":
                fault = account.change_fault(self._seen, change)
                finding.faults += [fault] if fault else []
                finding.evidence.append(f"{change.name}: {change.action}")
        for name, query in self._monitors().queries():
            if wrong := self._points.refused(query):
                finding.faults.append(f"{name} asks what Datadog refuses: {wrong}")
        yield finding.look(
            "what the monitors ask is answered, with percentiles where they need them"
        )

    def _now(self) -> Iterator[Look]:
        monitors = self._monitors()
        calm, told = Finding("calm"), Finding("told")
        for name, state in (*monitors.firing("P0"), *monitors.firing("P1")):
            calm.faults.append(f"{name} is in state {state}: see its runbook")
        yield calm.look("no monitor of a P0 or P1 alert is in alarm")
        told.faults += channel_faults(self._api, self._site.to)
        told.faults += monitors.downtimes()
        told.evidence += [
            f"{alert.name}: {' '.join(_handles(alert, self._site))}" for alert in ALERTS
        ]
        yield told.look("every channel that monitors name is there, and none is in a downtime")

    def _retention(self) -> Iterator[Look]:
        yield account.retention_look(self._seen, self._points.old(account.DAYS), _RETENTION)


def _handles(alert: Alert, site: Site) -> list[str]:
    return handles(alert.channels, site.to)


def _look(site: Site) -> Iterator[Look]:
    try:
        api = accounts.datadog(site.url, site.environ)
    except ValueError as error:
        yield from (Look(name, "failed", str(error)) for name in account.GIVES)
        return
    try:
        yield from account.looks(_VENDOR, list(_Account(api, site).parts()))
    finally:
        api.close()


STEPS: Way = (
    Step("the account of Datadog", account.GIVES, _look),
    Step("a test alert, through Datadog", TRIED, lambda site: look_test_alert(site, "datadog")),
)
