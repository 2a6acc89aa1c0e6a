"""Whether a phone's vendor took it and called somebody: looked up at PagerDuty or Opsgenie.

Sources: https://developer.pagerduty.com/api-reference (incidents and their log entries; a read-only
key is enough), https://docs.opsgenie.com/docs/alert-api (a key with read access).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from otel_accubooks.servers.api import Api
from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial.station import AHEAD_SECONDS, Trial, Unreadable
from otel_accubooks.vendors.addresses import Addresses

# A mail to the person who is on call is no call.
_CALLS = ("phone", "sms", "push")


class Vendor(ABC):
    """Who calls people. Every method raises Unreadable, or ApiError."""

    name: str
    token: str

    def __init__(self, address: str, headers: Mapping[str, str] | None) -> None:
        self._api = Api(address, headers) if headers else None

    @property
    def readable(self) -> bool:
        """Whether there is a key to ask it with."""
        return self._api is not None

    @abstractmethod
    def opened(self, trial: Trial) -> str | None:
        """How its incident was seen."""

    @abstractmethod
    def called(self, trial: Trial) -> str | None:
        """Who was called, and how, as the vendor's own record has it."""

    @abstractmethod
    def closed(self, trial: Trial) -> str | None:
        """How the end of its incident was seen."""

    def _ask(self, path: str) -> Any:
        if self._api is None:
            raise Unreadable(f"{self.token} is not set, so that {self.name} cannot be asked")
        return self._api.ask("GET", path)

    def close(self) -> None:
        """Ends the connections."""
        if self._api is not None:
            self._api.close()


def vendor(servers: Servers, to: Addresses, environ: Mapping[str, str]) -> Vendor | None:
    """The one of `to`; None where the phone is behind a webhook of one's own."""
    if to.phone == "pagerduty":
        return PagerDuty(servers, to, environ)
    return Opsgenie(servers, to, environ) if to.phone == "opsgenie" else None


class PagerDuty(Vendor):
    """PagerDuty's REST API, version 2."""

    name, token = "PagerDuty", "PAGERDUTY_API_TOKEN"

    def __init__(self, servers: Servers, to: Addresses, environ: Mapping[str, str]) -> None:
        region = "eu." if ".eu." in to.phone_url else ""
        key = environ.get(self.token)
        headers = {
            "Authorization": f"Token token={key}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        }
        address = servers.phone_api or f"https://api.{region}pagerduty.com"
        super().__init__(address, headers if key else None)

    def opened(self, trial: Trial) -> str | None:
        incident = self._incident(trial)
        return incident and f"incident {incident['incident_number']} of {self.name} is open"

    def called(self, trial: Trial) -> str | None:
        incident = self._incident(trial)
        if incident is None:
            return None
        path = f"/incidents/{quote(incident['id'])}/log_entries?limit=100"
        for entry in self._ask(path).get("log_entries", ()):
            if entry.get("type") != "notify_log_entry":
                continue
            told = (entry.get("channel") or {}).get("notification") or {}
            kind, status = str(told.get("type", "")), told.get("status")
            if any(call in kind for call in _CALLS) and status == "success":
                user = (entry.get("user") or {}).get("summary") or "somebody"
                return f"{self.name} called {user} ({kind}, {status})"
        return None

    def closed(self, trial: Trial) -> str | None:
        incident = self._incident(trial)
        if incident is None or incident["status"] != "resolved":
            return None
        return f"incident {incident['incident_number']} of {self.name} is resolved"

    def _incident(self, trial: Trial) -> Any:
        asked = [("since", _iso(trial.began - AHEAD_SECONDS)), ("until", _iso(trial.began + 3600))]
        asked += [("statuses[]", s) for s in ("triggered", "acknowledged", "resolved")]
        asked += [("sort_by", "created_at:desc"), ("limit", "100")]
        found = self._ask(f"/incidents?{urlencode(asked)}").get("incidents", ())
        return next((one for one in found if trial.number in one.get("title", "")), None)


class Opsgenie(Vendor):
    """Opsgenie's Alert API; it tells of alerts, and of calls only in its own log."""

    name, token = "Opsgenie", "OPSGENIE_API_KEY"

    def __init__(self, servers: Servers, to: Addresses, environ: Mapping[str, str]) -> None:
        key = environ.get(self.token)
        address = servers.phone_api or to.phone_url or "https://api.opsgenie.com"
        super().__init__(address, {"Authorization": f"GenieKey {key}"} if key else None)

    def opened(self, trial: Trial) -> str | None:
        alert = self._alert(trial)
        return alert and f"alert {alert.get('tinyId', alert['id'])} of {self.name} was made"

    def called(self, trial: Trial) -> str | None:
        if self._alert(trial) is None:
            return None
        raise Unreadable(f"{self.name} has the alert; whom it called, its API does not say")

    def closed(self, trial: Trial) -> str | None:
        alert = self._alert(trial)
        if alert is None or alert.get("status") != "closed":
            return None
        return f"alert {alert.get('tinyId', alert['id'])} of {self.name} is closed"

    def _alert(self, trial: Trial) -> Any:
        since = int((trial.began - AHEAD_SECONDS) * 1000)
        asked = {"query": f"createdAt > {since}", "sort": "createdAt", "order": "desc"}
        found = self._ask(f"/v2/alerts?{urlencode(asked | {'limit': '100'})}").get("data", ())
        return next((one for one in found if trial.number in one.get("message", "")), None)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
