"""Datadog as standby: a downtime over all that is ours keeps it silent, and `apply` lets it."""

from __future__ import annotations

import json
import re
from typing import Any

from otel_accubooks.apply.datadog import changes
from otel_accubooks.servers.api import Api
from otel_accubooks.stack.files import REPOSITORY
from otel_accubooks.vendors.addresses import Addresses
from tests.apply.datadog_api import KEYS, Account, known, require, serving

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
)
DOWNTIME = "/api/v2/downtime"
ATTRIBUTES = {
    "message", "monitor_identifier", "scope", "schedule", "display_timezone",
    "mute_first_recovery_notification", "notify_end_types", "notify_end_states",
}  # fmt: skip


class WithDowntimes(Account):
    """https://docs.datadoghq.com/api/latest/downtimes/"""

    def __init__(self) -> None:
        super().__init__()
        self.downtimes: dict[str, Any] = {}

    def answer(self, method: str, url: str, body: Any) -> Any:
        if not url.startswith(DOWNTIME):
            return super().answer(method, url, body)
        if method == "DELETE":
            return self.downtimes.pop(url.rpartition("/")[2])
        data, attributes = body["data"], body["data"]["attributes"]
        require(data["type"] == "downtime", "type")
        known(attributes, ATTRIBUTES, "downtime")
        require({*attributes["notify_end_types"]} <= {"canceled", "expired"}, "notify_end_types")
        states = {"alert", "no data", "warn"}
        require({*attributes["notify_end_states"]} <= states, "notify_end_states")
        known(attributes["monitor_identifier"], {"monitor_tags"}, "monitor_identifier")
        identity = f"d{len(self.downtimes)}"
        self.downtimes[identity] = attributes
        return {"data": {"id": identity, **data}}

    def silent(self, monitor: Any) -> bool:
        """Whether a downtime is on that has its tags: all of them, as Datadog has it."""
        tags = {tag.lower() for tag in monitor["tags"]}
        return any(
            tags >= {*one["monitor_identifier"]["monitor_tags"]} for one in self.downtimes.values()
        )


def applied(api: Api) -> None:
    for change in changes(api, TO):
        change.carry_out()


def test_the_downtime_of_the_documentation_holds_over_apply() -> None:
    """Every monitor is silent, those that are made later too, until somebody ends it."""
    page = (REPOSITORY / "docs" / "redundancy.md").read_text()
    (text,) = re.findall(r"standby\.json <<'END'\n(.*?)END\n", page, re.DOTALL)
    account = WithDowntimes()
    with serving(account) as address:
        api = Api(address, KEYS)
        made = api.ask("POST", DOWNTIME, json.loads(text))
        applied(api)
        silenced = [*account.monitors.values(), *account.tests.values()]
        assert len(silenced) > 32
        assert all(map(account.silent, silenced))
        applied(api)
        assert account.downtimes == {made["data"]["id"]: json.loads(text)["data"]["attributes"]}
        api.ask("DELETE", f"{DOWNTIME}/{made['data']['id']}")
        assert not any(map(account.silent, account.monitors.values()))
        api.close()
