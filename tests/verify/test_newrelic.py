"""An account of New Relic that is not as it should be is never said to be."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from graphql import parse, validate

from otel_accubooks.apply.newrelic import changes
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.servers.api import Api
from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify import newrelic_nrql, newrelic_telling
from otel_accubooks.verify.account import GIVES
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.newrelic import STEPS
from otel_accubooks.verify.way import Site
from tests.apply.newrelic_api import ACCOUNT, KEY, Account, serving
from tests.apply.newrelic_schema import SCHEMA

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
    heartbeat_url="https://heartbeat.example/ping",
)
ENVIRON = {"NEW_RELIC_API_KEY": KEY, "NEW_RELIC_ACCOUNT_ID": str(ACCOUNT)}
# What no account can show, or what this one does not have: a second backend, data of 30 days ago.
UNSEEN = {"retention", "heartbeat", *(name for name in GIVES if name.startswith("access"))}
ALONE = {"pair", "standby"}


@pytest.fixture(scope="module")
def whole() -> Account:
    """An account with everything in place, not to be changed."""
    made = Account().people_have_made()
    with serving(made) as address:
        api = Api(address, {"API-Key": KEY})
        for change in changes(api, TO, ACCOUNT):
            change.carry_out()
        api.close()
    made.points.ages = {metric.name: 20.0 for metric in METRICS}
    made.points.incidents = {"Watchdog": "otel-accubooks heartbeat"}
    return made


@pytest.fixture
def account(whole: Account) -> Account:
    """The same, to be broken."""
    made = Account()
    for name, value in vars(whole).items():
        if name != "_numbers":
            setattr(made, name, copy.deepcopy(value))
    return made


def looked(account: Account, service: str = "accubooks", **environ: str) -> dict[str, Look]:
    """The worst look of each name, but for the test alert."""
    found: dict[str, Look] = {}
    with serving(account) as address:
        site = Site(Servers(service=service), TO, ENVIRON | environ, lambda _: None, url=address)
        for look in STEPS[0].look(site):
            if look.name not in found or look.state != "passed":
                found[look.name] = look
    assert set(found) == set(GIVES)
    return found


def failed(looks: dict[str, Look]) -> dict[str, str]:
    """What is said of those that have failed, by name, but for the second backend."""
    return {n: one.said for n, one in looks.items() if one.state == "failed" and n not in ALONE}


def named(rows: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """The one whose name begins so."""
    return next(one for one in rows.values() if one["name"].startswith(name))


@pytest.mark.parametrize(
    "document",
    [newrelic_nrql.NRQL, newrelic_telling.MUTING, newrelic_telling.DESTINATIONS,
     newrelic_telling.CHANNELS],
)  # fmt: skip
def test_a_document_is_valid(document: str) -> None:
    """Every field and argument is in the schema, and every variable has its type."""
    assert validate(SCHEMA, parse(document)) == []


def test_what_is_whole_is_said_to_be(account: Account) -> None:
    """What cannot be seen is said to be so, the second backend is missing; nothing is written."""
    account.mutations.clear()
    looks = looked(account)
    assert failed(looks) == {}
    assert {name for name, look in looks.items() if look.state == "unseen"} == UNSEEN
    assert account.mutations == []


def test_a_service_is_found_where_none_is_named(account: Account) -> None:
    """There is only one."""
    assert failed(looked(account, service="")) == {}


def test_old_data_prove_retention(account: Account) -> None:
    """Where there are points of 31 days ago, nobody has to be asked."""
    account.points.lived, account.points.every = 32 * 86400, 300
    assert looked(account)["retention"].state == "passed"


def test_a_key_that_is_wrong(account: Account) -> None:
    """Everything fails, at once, and the key is not told."""
    found = failed(looked(account, NEW_RELIC_API_KEY="NRAK-wrong"))
    assert set(found) == set(GIVES) - ALONE
    assert "NRAK-wrong" not in str(found)
    assert "lacks the right" in found["interval"]


def test_an_account_that_is_another(account: Account) -> None:
    """The key is right, the number is not."""
    assert "is its number right" in failed(looked(account, NEW_RELIC_ACCOUNT_ID="99"))["backend"]


def test_another_service(account: Account) -> None:
    """What it has is named."""
    assert "of the services accubooks" in failed(looked(account, service="shop"))["backend"]


def test_points_that_stopped(account: Account) -> None:
    """Conditions and dashboards are as they should be; the data are old."""
    account.points.ages = dict.fromkeys(account.points.ages, 600.0)
    found = failed(looked(account))
    assert {"backend", "interval", "metrics api", "data operations"} <= set(found)
    assert "600 s old" in found["backend"]


def test_points_that_come_too_rarely(account: Account) -> None:
    """Once a minute is no 15 s."""
    account.points.every = 60
    found = failed(looked(account))
    assert set(found) == {"interval"}
    assert "OTEL_METRIC_EXPORT_INTERVAL=15000" in found["interval"]


def test_points_with_a_gap(account: Account) -> None:
    """A few minutes without any, though the newest are fresh."""
    account.points.gap = (4, 5)
    assert "no points in" in failed(looked(account))["interval"]


def test_a_metric_that_does_not_come(account: Account) -> None:
    """In its group, and in the panels that show it."""
    del account.points.ages["forecast_queue_depth"]
    found = failed(looked(account))
    assert set(found) == {"metrics queue", "data operations"}
    assert "(Queue Depth)" in found["data operations"]


def test_a_dashboard_that_is_not_there(account: Account) -> None:
    """By its name, with the command that brings it."""
    account.dashboards = {
        identity: one
        for identity, one in account.dashboards.items()
        if one["name"] != "AccuBooks Operations"
    }
    found = failed(looked(account))
    assert {"dashboard operations", "data operations", "refresh"} <= set(found)
    assert "otel-accubooks apply newrelic" in found["dashboard operations"]


def test_a_panel_that_was_changed(account: Account) -> None:
    """Its query is none, and nobody has looked."""
    board = named(account.dashboards, "AccuBooks Operations")
    widget = next(one for one in board["pages"][0]["widgets"] if one.get("title") == "Queue Depth")
    widget["rawConfiguration"]["nrqlQueries"][0]["query"] = "SELECT latest(depth FROM Metric"
    found = failed(looked(account))
    assert set(found) == {"dashboard operations", "data operations", "refresh"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("enabled", False, '"enabled": false'), ("runbookUrl", "https://old.example", "old.example")],
)
def test_a_condition_that_was_changed(
    account: Account, name: str, value: object, said: str
) -> None:
    """Switched off, or leading elsewhere: the difference is said."""
    named(account.conditions, "DataIntegrityIssue")[name] = value
    found = failed(looked(account))
    assert set(found) == {"alerts P0"}
    assert said in found["alerts P0"]


def test_a_threshold_that_was_changed(account: Account) -> None:
    """The difference is said."""
    named(account.conditions, "HighLatency")["terms"][0]["threshold"] = 9000
    found = failed(looked(account))
    assert set(found) == {"alerts P1"}
    assert "9000" in found["alerts P1"]


def test_a_condition_that_was_deleted(account: Account) -> None:
    """By its name."""
    account.conditions = {
        identity: one
        for identity, one in account.conditions.items()
        if one["name"] != "DataIntegrityIssue"
    }
    found = failed(looked(account))
    assert set(found) == {"alerts P0"}
    assert "DataIntegrityIssue is not there" in found["alerts P0"]


@pytest.mark.parametrize("values", [[], ["otel-accubooks P0"]])
def test_a_muting_rule_that_is_active(account: Account, values: list[str]) -> None:
    """Of everything, or of a policy of ours."""
    condition = {"attribute": "policyName", "operator": "EQUALS" if values else "ANY"}
    group = {"operator": "AND", "conditions": [condition | {"values": values}]}
    rule = {"id": "1", "name": "Quiet", "enabled": True, "status": "ACTIVE", "condition": group}
    account.muting = [rule]
    found = failed(looked(account))
    assert "'Quiet' is active" in found["alerts P0"]
    assert ("alerts P1" in found) == (not values)


@pytest.mark.parametrize(
    ("status", "values"), [("SCHEDULED", ["otel-accubooks P0"]), ("ACTIVE", ["Shop"])]
)
def test_a_muting_rule_that_is_none_of_ours(
    account: Account, status: str, values: list[str]
) -> None:
    """Not active now, or of another policy by its name."""
    condition = {"attribute": "policyName", "operator": "EQUALS", "values": values}
    group = {"operator": "AND", "conditions": [condition]}
    account.muting = [
        {"id": "1", "name": "Quiet", "enabled": True, "status": status, "condition": group}
    ]
    assert failed(looked(account)) == {}


def test_a_workflow_that_is_switched_off(account: Account) -> None:
    """Nobody is told of what is critical."""
    named(account.workflows, "otel-accubooks P0")["workflowEnabled"] = False
    assert set(failed(looked(account))) == {"told"}


def test_a_destination_that_is_not_active(account: Account) -> None:
    """It is there, and nothing goes to it."""
    named(account.destinations, "main")["active"] = False
    found = failed(looked(account))
    assert set(found) == {"told"}
    assert "destination main is not active" in found["told"]


def test_a_destination_that_is_missing(account: Account) -> None:
    """Without it nothing can be compared, and nothing passes that would have to be."""
    account.destinations = {
        identity: one for identity, one in account.destinations.items() if one["name"] != "main"
    }
    found = failed(looked(account))
    assert {"alerts P0", "dashboard operations"} <= set(found)
    assert "no destination 'main' of type SLACK" in found["dashboard operations"]


@pytest.mark.parametrize("severity", ["P0", "P1"])
def test_an_urgent_alert_that_fires(account: Account, severity: str) -> None:
    """A deployment in alarm is not let to anybody."""
    account.points.incidents["Mine"] = f"otel-accubooks {severity}"
    assert set(failed(looked(account))) == {"calm"}


def test_a_heartbeat_that_does_not_beat(account: Account) -> None:
    """Watchdog has no open incident."""
    account.points.incidents.clear()
    assert set(failed(looked(account))) == {"heartbeat"}


def test_every_panel_is_asked(account: Account) -> None:
    """Without points no panel of any dashboard shows data, but for what is said of alerts."""
    account.points.ages = {"system_uptime_seconds": 20.0}
    looks = looked(account)
    for board in DASHBOARDS:
        silent = [line for line in looks[f"data {board.name}"].evidence if "nothing of" in line]
        assert len(silent) == sum(panel.kind != "alerts" for panel in board.panels)
