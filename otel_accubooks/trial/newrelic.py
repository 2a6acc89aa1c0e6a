"""The way through New Relic.

Source: https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/, and for
incidents https://docs.newrelic.com/attribute-dictionary/?event=NrAiIncident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_accubooks.apply.newrelic.nerdgraph import NerdGraph
from otel_accubooks.contract.alerts import BY_NAME
from otel_accubooks.contract.pipeline import TEST, TEST_ALERT
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial.station import Trial
from otel_accubooks.trial.vendor import VendorWay

ALERT = BY_NAME["TestAlert"]
_RECENT = "SINCE 60 minutes ago LIMIT 100"
_NRQL = """query tested($account: Int!, $query: Nrql!) {
  actor { account(id: $account) { nrql(query: $query, timeout: 30) { results } } }
}"""


class NewRelicWay(VendorWay):
    """Points and incidents, both by NRQL."""

    name = "New Relic"

    def __init__(
        self,
        api: Api,
        account: int,
        servers: Servers,
        trial: Trial,
        environ: Mapping[str, str],
    ) -> None:
        super().__init__(api, servers, trial, environ)
        self._graph = NerdGraph(api, account)

    def stored(self) -> str | None:
        name, number = TEST_ALERT.name, self._trial.number
        query = f"SELECT max({name}) AS value FROM Metric WHERE {TEST} = '{number}' {_RECENT}"  # noqa: S608
        found = any(row.get("value") for row in self._ask(query))
        return f"{name} of {TEST} {number} is 1" if found else None

    def fires(self) -> str | None:
        return f"incident of {ALERT.name} is open" if "open" in self._events() else None

    def over(self) -> str | None:
        return f"incident of {ALERT.name} is closed" if "close" in self._events() else None

    def does_not_fire(self) -> str:
        return (
            f"no incident of {ALERT.name} was opened: is the condition there and enabled? "
            "otel-accubooks apply newrelic"
        )

    def _events(self) -> set[str]:
        """What happened to the incident of this test, whose number is among its targets."""
        query = f"SELECT * FROM NrAiIncident WHERE conditionName = '{ALERT.name}' {_RECENT}"  # noqa: S608
        mine = [row for row in self._ask(query) if self._trial.number in str(row)]
        return {str(row.get("event")) for row in mine}

    def _ask(self, query: str) -> list[dict[str, Any]]:
        account = self._graph.ask(_NRQL, query=query)["actor"]["account"]
        if account is None:
            raise ApiError(
                f"New Relic, tested: no account {self._graph.account}; is its number right, and may "
                "the key see it?"
            )
        found: list[dict[str, Any]] = account["nrql"]["results"]
        return found
