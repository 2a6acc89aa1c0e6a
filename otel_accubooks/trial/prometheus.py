"""The way through Prometheus and Alertmanager.

Where an application is scraped by Prometheus itself there is no gateway to send a test alert to:
then Alertmanager is told directly, and Watchdog shows that Prometheus tells it of alerts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from otel_accubooks.contract.alerts import BY_NAME, WATCHDOG
from otel_accubooks.contract.pipeline import QUEUE_CAPACITY, TEST, TEST_ALERT
from otel_accubooks.servers.alertmanager import Alertmanager
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial.gateway import Gateway
from otel_accubooks.trial.handed import Handed
from otel_accubooks.trial.hop import Hop
from otel_accubooks.trial.station import Station, Trial
from otel_accubooks.trial.way import GATEWAY, Stage, Way
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.alertmanager import TRIED
from otel_accubooks.vendors.prometheus_rules import rules

ALERT = BY_NAME["TestAlert"]
BACKEND, RULE = "Prometheus", "rule"
# The gateway's queue, and where it is scraped two intervals of 15 s.
STORED_SECONDS = 60.0
# Rules are evaluated every 15 s; one evaluation may just have begun.
EVALUATED_SECONDS = 60.0
# Prometheus tells of an alert as soon as it fires; one that did not get through it tells a minute later.
TOLD_SECONDS = 90.0
# It tells of one that lasts at least once in four evaluations, or once a minute.
FRESH_SECONDS = 180.0
LASTS = timedelta(minutes=5)
AGAIN_SECONDS = 15.0


class PrometheusWay(Way):
    """Gateway, Prometheus, its rule, every Alertmanager; or, `directly`, the last alone."""

    def __init__(
        self,
        servers: Servers,
        to: Addresses,
        trial: Trial,
        environ: Mapping[str, str],
        *,
        directly: bool = False,
    ) -> None:
        self._servers, self._to, self._trial = servers, to, trial
        self._named = bool(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))
        self._gateway = Gateway(servers, trial, environ)
        self._prometheus = Prometheus(servers.prometheus)
        self._alertmanagers = [Alertmanager(address) for address in servers.alertmanager]
        self.handed = Handed(servers.alertmanager)
        self._wished = self._direct = directly
        self._told = 0.0

    def begin(self) -> list[Hop]:
        if self._wished:
            self._tell()
            return []
        what = "no gateway is named"
        if self._servers.gateway:
            hop, sent = self._gateway.begin()
            if sent.taken or sent.there or not self._scrapes_only():
                return [hop]
            what = f"nothing listens at {self._servers.gateway}"
        elif not self._scrapes_only():
            said = "no gateway is named, and there is one; set OTEL_EXPORTER_OTLP_ENDPOINT"
            return [Hop(GATEWAY, "missing", said)]
        self._direct = True
        self._tell()
        what = f"{what}, and {BACKEND} knows of none"
        not_tried = f"not tried, and Alertmanager was told directly: {what}"
        return [Hop(name, "unseen", not_tried) for name in (GATEWAY, BACKEND, RULE)]

    def _scrapes_only(self) -> bool:
        """Whether there is no gateway in this deployment, as far as Prometheus and settings know."""
        if self._named or self._servers.gateway not in ("", Servers().gateway):
            return False
        try:
            known = self._prometheus.query(f"last_over_time({QUEUE_CAPACITY.name}[1d])")
            jobs = [str(one["labels"].get("job", "")) for one in self._prometheus.targets()]
        except ApiError:
            return False
        return not known and not any("gateway" in job for job in jobs)

    def stages(self) -> list[Stage]:
        told = Stage(tuple(map(self._alertmanager, self._alertmanagers)), TOLD_SECONDS)
        if self._wished:
            return [told]
        if self._direct:
            watchdog = Station(WATCHDOG, self._beats, lambda: self._silent)
            return [Stage((watchdog,), EVALUATED_SECONDS), told]
        stored = Station(BACKEND, self._stored, self._not_stored, self._zero)
        fires = Station(RULE, self._fires, self._does_not_fire, self._fires_not)
        return [Stage((stored,), STORED_SECONDS), Stage((fires,), EVALUATED_SECONDS), told]

    # Prometheus ----------------------------------------------------------------------------------

    def _stored(self) -> str | None:
        found = self._prometheus.query(f'{TEST_ALERT.name}{{{TEST}="{self._trial.number}"}} == 1')
        return f"{TEST_ALERT.name} is 1 in {self._prometheus.address}" if found else None

    def _zero(self) -> str | None:
        found = self._prometheus.query(f'{TEST_ALERT.name}{{{TEST}="{self._trial.number}"}}')
        return None if any(one.value for one in found) else f"{TEST_ALERT.name} is 0"

    def _not_stored(self) -> str:
        named = f'{{__name__=~"{TEST_ALERT.name}.+", {TEST}="{self._trial.number}"}}'
        if others := self._prometheus.query(named):
            name = others[0].labels["__name__"]
            return f"it is there as {name}: names must stay as they are sent (translation_strategy)"
        return (
            f"the gateway took it, and {self._prometheus.address} has no {TEST_ALERT.name}; does "
            "the gateway send to this Prometheus? Its log and its queue say so"
        )

    def _mine(self, state: str) -> bool:
        return any(
            one["labels"].get("alertname") == ALERT.name
            and one["labels"].get(TEST) == self._trial.number
            and one["state"] == state
            for one in self._prometheus.alerts()
        )

    def _fires(self) -> str | None:
        return f"{ALERT.name} fires in {self._prometheus.address}" if self._mine("firing") else None

    def _fires_not(self) -> str | None:
        return None if self._mine("firing") else f"{ALERT.name} fires no more"

    def _does_not_fire(self) -> str:
        found = [
            rule
            for group in self._prometheus.rules()
            for rule in group["rules"]
            if rule["name"] == ALERT.name
        ]
        if not found:
            return (
                f"Prometheus has no rule {ALERT.name}: otel-accubooks render --backend prometheus, "
                "and name the file in rule_files"
            )
        if error := found[0].get("lastError"):
            return f"its rule cannot be evaluated: {error}"
        return f"its rule asks something else: {found[0].get('query')}"

    def _beats(self) -> str | None:
        """Whether Prometheus, told nothing by us, keeps telling every Alertmanager of Watchdog."""
        if not any(one["labels"].get("alertname") == WATCHDOG for one in self._prometheus.alerts()):
            return None
        for alertmanager in self._alertmanagers:
            ages = [_age(one["updatedAt"]) for one in alertmanager.alerts(alertname=WATCHDOG)]
            if not ages or min(ages) > FRESH_SECONDS:
                return None
        return f"{WATCHDOG} fires, and came from Prometheus to Alertmanager within {FRESH_SECONDS:.0f} s"

    @property
    def _silent(self) -> str:
        return (
            f"expected {WATCHDOG} to fire in Prometheus and to have come to every Alertmanager within "
            f"{FRESH_SECONDS:.0f} s; are the rules loaded, and is Alertmanager under alerting: in "
            "prometheus.yml?"
        )

    # Alertmanager --------------------------------------------------------------------------------

    def _alertmanager(self, alertmanager: Alertmanager) -> Station:
        return Station(
            f"Alertmanager {alertmanager.address}",
            lambda: self._known(alertmanager),
            lambda: self._not_known(alertmanager),
            lambda: None if self._of(alertmanager) else "it is over",
        )

    def _of(self, alertmanager: Alertmanager) -> list[dict[str, Any]]:
        return alertmanager.alerts(alertname=ALERT.name, **{TEST: self._trial.number})

    def _known(self, alertmanager: Alertmanager) -> str | None:
        for one in self._of(alertmanager):
            receivers = [receiver["name"] for receiver in one["receivers"]]
            muted = one["status"]["silencedBy"] or one["status"]["inhibitedBy"]
            if set(TRIED) <= set(receivers) and not muted:
                return f"it tells {', '.join(receivers)}"
        return None

    def _not_known(self, alertmanager: Alertmanager) -> str:
        found = self._of(alertmanager)
        if not found:
            told = self._prometheus.alertmanagers()
            return (
                f"Prometheus did not tell it; it tells {', '.join(told) or 'nobody'}: see alerting: in "
                "prometheus.yml"
            )
        status = found[0]["status"]
        if status["silencedBy"]:
            return f"it is silenced by {', '.join(status['silencedBy'])}, and nobody is told"
        if status["inhibitedBy"]:
            return "another alert inhibits it, and nobody is told"
        receivers = ", ".join(receiver["name"] for receiver in found[0]["receivers"])
        return (
            f"it tells {receivers}, expected {', '.join(TRIED)}: alertmanager.yml is not the rendered "
            "one; otel-accubooks render --backend prometheus"
        )

    def _tell(self, *, over: bool = False) -> None:
        """Tells every Alertmanager as Prometheus would; one that does not answer is a station's."""
        now = datetime.now(timezone.utc)
        told = [
            rule for group in rules(self._to.runbooks, [ALERT])["groups"] for rule in group["rules"]
        ]
        labels = {"alertname": ALERT.name, TEST: self._trial.number, **told[0]["labels"]}
        if self._servers.service:
            labels["job"] = self._servers.service
        alert = {
            "labels": labels,
            "annotations": told[0]["annotations"] | {"description": f"{ALERT.name}: told directly"},
            "startsAt": datetime.fromtimestamp(self._trial.began, timezone.utc).isoformat(),
            "endsAt": (now if over else now + LASTS).isoformat(),
        }
        self._told = time.monotonic()
        for alertmanager in self._alertmanagers:
            try:
                alertmanager.tell([alert])
            except ApiError:
                pass

    # ---------------------------------------------------------------------------------------------

    def meanwhile(self) -> None:
        if not self._direct:
            self._gateway.again()
        elif time.monotonic() - self._told > AGAIN_SECONDS:
            self._tell()

    def end(self) -> Hop | None:
        if not self._direct:
            return self._gateway.end()
        self._tell(over=True)
        return None

    def close(self) -> None:
        self._gateway.close()
        self._prometheus.close()
        for alertmanager in self._alertmanagers:
            alertmanager.close()


def _age(updated: str) -> float:
    """Seconds since a time of Alertmanager's."""
    at = datetime.strptime(updated[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return (datetime.now(timezone.utc) - at).total_seconds()
