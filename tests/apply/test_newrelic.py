"""An account of New Relic gets what the contract says, and keeps what is others'."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from graphql import parse, validate
from newrelic_api import ACCOUNT, KEY, Account, serving
from newrelic_schema import SCHEMA

from otel_accubooks.apply.change import Change
from otel_accubooks.apply.newrelic import alerting, changes, documents
from otel_accubooks.contract.alerts import ALERTS, BY_NAME
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.newrelic.marks import MARK

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
    runbooks="https://runbooks.example",
    heartbeat_url="https://heartbeat.example/ping",
)
DOCUMENTS = {
    f"{name} {kind}".strip(): text
    for name, value in vars(documents).items()
    if name.isupper() and not name.startswith("_")
    for kind, text in (value if isinstance(value, dict) else {"": value}).items()
}


@pytest.fixture
def account() -> Account:
    return Account().people_have_made()


@pytest.fixture
def api(account: Account) -> Iterator[Api]:
    with serving(account) as address:
        api = Api(address, {"API-Key": KEY})
        yield api
        api.close()


def applied(api: Api, to: Addresses = TO) -> list[Change]:
    done = []
    for change in changes(api, to, ACCOUNT):
        change.carry_out()
        done.append(change)
    return done


def acted(done: list[Change]) -> dict[str, list[str]]:
    """The names of what was not kept, by action and kind."""
    found: dict[str, list[str]] = {}
    for change in done:
        if change.action != "keep":
            found.setdefault(f"{change.action} {change.kind}", []).append(change.name)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_valid(name: str) -> None:
    """Every field and argument is in the schema, and every variable has its type."""
    assert validate(SCHEMA, parse(DOCUMENTS[name])) == []


def test_an_empty_account_gets_everything(api: Api, account: Account) -> None:
    """Every alert, dashboard, the check and every way to be told."""
    done = applied(api)
    assert {change.action for change in done} == {"create"}
    assert Counter(change.kind for change in done) == {
        "check": 1,
        "dashboard": len(DASHBOARDS),
        "policy": 6,
        "condition": sum(len(alert.conditions) for alert in ALERTS),
        "destination": 3,
        "channel": 14,
        "workflow": 7,
    }
    names = {one["name"].split(" ")[0] for one in account.conditions.values()}
    assert names == {alert.name for alert in ALERTS}


def test_a_second_run_keeps_everything(api: Api, account: Account) -> None:
    """Although the server adds fields, turns orders round and gives numbers back in another form."""
    applied(api)
    account.mutations.clear()
    assert {change.action for change in applied(api)} == {"keep"}
    assert account.mutations == []


def test_nothing_is_written_by_looking(api: Api, account: Account) -> None:
    """Changes that nobody carries out change nothing."""
    for change in changes(api, TO, ACCOUNT):
        assert change.difference
    assert account.mutations == []
    assert not account.policies
    assert not account.dashboards


def test_widgets_ask_the_account(api: Api, account: Account) -> None:
    """The account of the queries is the one that they are brought to."""
    applied(api)
    text = json.dumps(list(account.dashboards.values()))
    assert f'"accountIds": [{ACCOUNT}]' in text
    assert '"accountIds": [0]' not in text


def test_slack_channels_are_known_by_their_id(api: Api, account: Account) -> None:
    """Of several channels whose names begin alike, the right one."""
    applied(api)
    told = {
        one["name"]: {p["key"]: p["value"] for p in one["properties"]}
        for one in account.channels.values()
    }
    assert told["otel-accubooks P2: slack by SLACK main"]["channelId"] == "C01"
    assert told["otel-accubooks P3: info by SLACK main"]["channelId"] == "C02"


def test_what_was_changed_by_hand_is_put_right(api: Api, account: Account) -> None:
    """With the lines in which it differs."""
    applied(api)
    condition = next(c for c in account.conditions.values() if c["name"] == "HighLatency")
    condition["terms"][0]["threshold"] = 5000
    dashboard = next(iter(account.dashboards.values()))
    dashboard["pages"][0]["widgets"].pop()
    workflow = next(w for w in account.workflows.values() if w["name"] == "otel-accubooks P0")
    workflow["destinationConfigurations"].pop()
    done = applied(api)
    assert acted(done) == {
        "update dashboard": [dashboard["name"]],
        "update condition": ["HighLatency"],
        "update workflow": ["otel-accubooks P0"],
    }
    lines = next(
        change.difference for change in done if change.kind == "condition" and change.difference
    )
    assert [line.split() for line in lines if line[0] in "+-"] == [
        ["-", '"threshold":', "5000,"],
        ["+", '"threshold":', "1000,"],
    ]
    assert acted(applied(api)) == {}


def test_a_page_keeps_its_address(api: Api, account: Account) -> None:
    """Links that people have to a dashboard's page go on."""
    applied(api)
    dashboard = next(iter(account.dashboards.values()))
    before = dashboard["pages"][0]["guid"] = "known"
    dashboard["pages"][0]["widgets"].pop()
    applied(api)
    assert dashboard["pages"][0]["guid"] == before


def test_other_addresses_update_what_speaks_of_them(api: Api) -> None:
    """The application, its runbooks and who is written to."""
    applied(api)
    to = replace(
        TO,
        application="https://other.example",
        runbooks="https://other.example/runbooks",
        email=("night@books.example",),
    )
    found = acted(applied(api, to))
    assert found["update check"] == ["otel-accubooks reachable"]
    assert len(found["update condition"]) == sum(len(alert.conditions) for alert in ALERTS)
    assert found["update destination"] == ["otel-accubooks email"]
    assert acted(applied(api, to)) == {}


def test_another_phone_is_another_channel(api: Api, account: Account) -> None:
    """The old one goes once nothing leads to it any more."""
    applied(api)
    account.add("destinations", name="accubooks", type="WEBHOOK", properties=[], active=True)
    found = acted(applied(api, replace(TO, phone="opsgenie")))
    assert found == {
        "create channel": [
            "otel-accubooks P0: phone by WEBHOOK accubooks",
            "otel-accubooks test: phone by WEBHOOK accubooks",
        ],
        "update workflow": ["otel-accubooks P0", "otel-accubooks test"],
        "delete channel": [
            "otel-accubooks P0: phone by PAGERDUTY_SERVICE_INTEGRATION accubooks",
            "otel-accubooks test: phone by PAGERDUTY_SERVICE_INTEGRATION accubooks",
        ],
    }  # fmt: skip


def test_one_name_for_slack_and_phone(api: Api, account: Account) -> None:
    """Destinations of one name are told apart by their type."""
    account.add("destinations", name="accubooks", type="SLACK", properties=[], active=True)
    applied(api, replace(TO, slack_workspace="accubooks"))
    types = {one["id"]: one["type"] for one in account.destinations.values()}
    assert all(types[one["destinationId"]] == one["type"] for one in account.channels.values())


def test_without_a_heartbeat_its_way_goes(api: Api, account: Account) -> None:
    """Workflow, channel and destination, in the order that New Relic allows."""
    applied(api)
    assert acted(applied(api, replace(TO, heartbeat_url=""))) == {
        "delete workflow": ["otel-accubooks heartbeat"],
        "delete channel": [
            "otel-accubooks heartbeat: heartbeat by WEBHOOK otel-accubooks heartbeat"
        ],
        "delete destination": ["otel-accubooks heartbeat"],
    }


def test_what_the_contract_has_no_more_is_deleted(
    api: Api, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here an alert with several conditions."""
    applied(api)
    several = len(BY_NAME["TelemetryPipelineFailing"].conditions)
    fewer = tuple(alert for alert in ALERTS if alert.name != "TelemetryPipelineFailing")
    monkeypatch.setattr(alerting, "ALERTS", fewer)
    found = acted(applied(api))
    assert found == {
        "delete condition": [
            f"TelemetryPipelineFailing {n} of {several}" for n in range(1, several + 1)
        ]
    }


def test_others_things_stay(api: Api, account: Account) -> None:
    """A policy, a condition in ours, a dashboard, a monitor, a workflow: nothing of it is touched."""
    applied(api)
    ours = next(iter(account.policies))
    other = account.add("policies", name="Shop", incidentPreference="PER_POLICY", accountId=ACCOUNT)
    condition = next(iter(account.conditions.values()))
    content = {key: value for key, value in condition.items() if key != "id"}
    for policy in (ours, other):
        account.add(
            "conditions", **content | {"name": "Mine", "description": None, "policyId": policy}
        )
    dashboard = next(iter(account.dashboards.values()))
    copied = {key: value for key, value in dashboard.items() if key not in ("id", "tags")}
    account.add("dashboards", **copied, tags=[])
    account.add("monitors", name="Shop", uri="https://shop.example", tags=[])
    account.mutations.clear()
    assert acted(applied(api)) == {}
    assert account.mutations == []


def test_a_policy_with_somebodys_condition_stays(api: Api, account: Account) -> None:
    """A policy of ours that nobody wants any more goes, unless something of others' would go with it."""
    per = "PER_CONDITION_AND_TARGET"
    kept, gone = (
        account.add("policies", name=name, incidentPreference=per, accountId=ACCOUNT)
        for name in ("otel-accubooks P8", "otel-accubooks P9")
    )
    applied(api)
    assert gone not in account.policies
    assert kept not in account.policies
    kept = account.add(
        "policies", name="otel-accubooks P8", incidentPreference=per, accountId=ACCOUNT
    )
    content = {k: v for k, v in next(iter(account.conditions.values())).items() if k != "id"}
    account.add("conditions", **content | {"description": "mine", "policyId": kept})
    ours = account.add("conditions", **content | {"description": MARK, "policyId": kept})
    applied(api)
    assert kept in account.policies
    assert ours not in account.conditions


def test_a_condition_that_is_there_twice_is_there_once(api: Api, account: Account) -> None:
    """The second one, with our mark, goes."""
    applied(api)
    condition = next(iter(account.conditions.values()))
    account.add("conditions", **{k: v for k, v in condition.items() if k != "id"})
    assert acted(applied(api)) == {"delete condition": [condition["name"]]}


def test_a_missing_destination_is_named_before_anything_is_done(api: Api, account: Account) -> None:
    """What is missing, and what to do once."""
    account.destinations.clear()
    with pytest.raises(ApiError, match="no destination 'main' of type SLACK: make it once") as told:
        applied(api)
    assert "\n" not in str(told.value)
    assert account.mutations == []


def test_a_missing_slack_channel_is_named(api: Api, account: Account) -> None:
    """A channel of a similar name is not taken for it."""
    del account.slack["alerts"]
    with pytest.raises(ApiError, match="Slack workspace main has no channel #alerts"):
        applied(api)
    assert account.mutations == []


def test_errors_of_graphql_stop_in_one_line(api: Api, account: Account) -> None:
    """They come with a status of 200."""
    account.refuse["createPolicy"] = "not\nallowed"
    with pytest.raises(ApiError) as told:
        applied(api)
    assert str(told.value) == "New Relic, createPolicy: not allowed"


def test_errors_inside_an_answer_stop_in_one_line(api: Api, account: Account) -> None:
    """A mutation that went wrong may have them in its own answer."""
    applied(api)
    gone = {
        change.kind: change
        for change in changes(api, replace(TO, heartbeat_url=""), ACCOUNT)
        if change.action == "delete"
    }
    with pytest.raises(ApiError) as told:
        gone["destination"].carry_out()
    assert str(told.value) == "New Relic, deleteDestination: a channel uses it (INVALID_PARAMETER)"


def test_an_unknown_account_is_named(api: Api) -> None:
    """The key is right, the number is not."""
    with pytest.raises(ApiError, match="no account for account 99; is its number right"):
        list(changes(api, TO, 99))


def test_a_wrong_key_is_named(account: Account) -> None:
    """And what it lacks."""
    with serving(account) as address:
        api = Api(address, {"API-Key": "wrong"})
        with pytest.raises(ApiError, match=r"401 .*lacks the right"):
            list(changes(api, TO, ACCOUNT))
        api.close()
