"""An account of Datadog gets what the contract says, and keeps what is others'."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from otel_accubooks.apply.change import Change
from otel_accubooks.apply.datadog import changes
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.datadog import monitors, payloads
from tests.apply.datadog_api import KEYS, Account, serving

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
    runbooks="https://runbooks.example",
)


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def api(account: Account) -> Iterator[Api]:
    with serving(account) as address:
        api = Api(address, KEYS)
        yield api
        api.close()


def applied(api: Api, to: Addresses = TO) -> list[Change]:
    done = []
    for change in changes(api, to):
        change.carry_out()
        done.append(change)
    return done


def counted(done: list[Change]) -> Counter[str]:
    return Counter(change.action for change in done)


def test_an_empty_account_gets_everything(api: Api, account: Account) -> None:
    """Every payload that is rendered, and composite monitors speak of those that were made."""
    done = applied(api)
    assert counted(done) == {"create": len(list(payloads(TO)))}
    named = {one["name"].partition(":")[0]: one for one in account.monitors.values()}
    watch, guard = (
        named["HighErrorRate.watch, silent"]["id"],
        named["HighErrorRate.guard, silent"]["id"],
    )
    assert named["HighErrorRate"]["query"] == f"{watch} && {guard}"
    (check,) = account.tests.values()
    assert named["NoActiveUsers"]["query"].endswith(f"!{check['monitor_id']}")


def test_a_second_run_keeps_everything(api: Api, account: Account) -> None:
    """Also where Datadog has fields of its own, other cases and another order."""
    created = len(applied(api))
    account.asked.clear()
    done = applied(api)
    assert counted(done) == {"keep": created}
    assert account.written == []


def test_a_dry_run_changes_nothing(api: Api, account: Account) -> None:
    """It shows what would be sent, composite monitors by the names of their parts."""
    shown = list(changes(api, TO))
    assert account.written == []
    (one,) = [c for c in shown if c.name == "HighErrorRate"]
    assert any("{HighErrorRate.watch}" in line for line in one.difference)


def test_changes_may_be_gathered_first(api: Api, account: Account) -> None:
    """A composite monitor's numbers are looked up when it is made."""
    for change in list(changes(api, TO)):
        change.carry_out()
    assert counted(list(changes(api, TO))).keys() == {"keep"}


def test_what_was_changed_by_hand_is_put_right(api: Api, account: Account) -> None:
    """One of each kind, with the lines in which it differed."""
    applied(api)
    monitor = next(
        one for one in account.monitors.values() if one["name"].startswith("HighLatency")
    )
    monitor["options"]["thresholds"]["critical"] = 2000.0
    dashboard = next(iter(account.dashboards.values()))
    dashboard["widgets"][0]["definition"]["widgets"].pop()
    next(iter(account.tests.values()))["options"]["tick_every"] = 300
    account.tags["http_request_duration_ms"]["include_percentiles"] = False
    done = [change for change in applied(api) if change.action != "keep"]
    assert {(c.action, c.kind) for c in done} == {
        ("update", "monitor"),
        ("update", "dashboard"),
        ("update", "check"),
        ("update", "tag configuration"),
    }
    (changed,) = [change for change in done if change.kind == "monitor"]
    assert [line.split() for line in changed.difference if line.startswith(("-", "+"))] == [
        ["-", '"critical":', "2000.0"],
        ["+", '"critical":', "1000"],
    ]
    assert counted(applied(api)).keys() == {"keep"}


def test_other_addresses_change_messages_alone(api: Api) -> None:
    applied(api)
    done = applied(api, replace(TO, email=("new@books.example",)))
    changed = [change for change in done if change.action != "keep"]
    assert changed
    assert {change.action for change in changed} == {"update"}
    for change in changed:
        lines = [line for line in change.difference if line.startswith(("-", "+"))]
        assert all('"message"' in line for line in lines), change


def test_an_alert_that_is_no_more_is_deleted(
    api: Api, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its parts, the composite monitor first; whom it muted speaks again by itself."""
    applied(api)
    fewer = tuple(alert for alert in ALERTS if alert.name != "HighErrorRate")
    monkeypatch.setattr(monitors, "ALERTS", fewer)
    done = [change for change in applied(api) if change.action != "keep"]
    assert [(c.action, c.name.partition(":")[0]) for c in done] == [
        ("update", "ErrorRateElevated"),
        ("delete", "HighErrorRate"),
        ("delete", "HighErrorRate.watch, silent"),
        ("delete", "HighErrorRate.guard, silent"),
    ]
    assert counted(applied(api)).keys() == {"keep"}


def test_a_monitor_that_becomes_composite_is_made_anew(
    api: Api, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Datadog changes no monitor's type."""
    unmuted = tuple(replace(alert, mutes=()) for alert in ALERTS)
    with monkeypatch.context() as patched:
        patched.setattr(monitors, "ALERTS", unmuted)
        applied(api)
    done = [c for c in applied(api) if c.name.partition(":")[0] == "RedisMemoryWarning"]
    assert [change.action for change in done] == ["create", "delete"]
    assert counted(applied(api)).keys() == {"keep"}


def test_what_is_others_stays(api: Api, account: Account) -> None:
    """Monitors, copies of ours, dashboards, tests without our mark, and tags that others added."""
    applied(api)
    monitor = next(one for one in account.monitors.values() if one["type"] == "query alert")
    others = {**monitor, "id": 5000, "tags": ["alert:highlatency"]}
    copied = {**monitor, "id": 5001, "name": "my copy"}
    account.monitors |= {5000: others, 5001: copied}
    account.dashboards["theirs"] = {
        "id": "theirs", "title": "Operations", "description": None, "layout_type": "free",
        "url": "/", "created_at": "",
    }  # fmt: skip
    account.tests["theirs"] = {"public_id": "theirs", "type": "api", "tags": [], "monitor_id": 5002}
    account.tags["http_request_duration_ms"]["tags"].append("region")
    assert counted(applied(api)).keys() == {"keep"}
    assert {5000, 5001} <= set(account.monitors)
    assert "theirs" in account.dashboards
    assert "theirs" in account.tests


def test_tags_that_others_exclude_are_given_back(api: Api, account: Account) -> None:
    """A configuration may also name what is left out: ours must not be among it."""
    applied(api)
    attributes = account.tags["http_request_duration_ms"]
    attributes |= {"exclude_tags_mode": True, "tags": ["route", "region"]}
    applied(api)
    assert attributes["tags"] != account.tags["http_request_duration_ms"]["tags"] == ["region"]
    assert account.tags["http_request_duration_ms"]["exclude_tags_mode"] is True
    assert counted(applied(api)).keys() == {"keep"}


def test_an_account_that_is_busy_is_asked_again(api: Api, account: Account) -> None:
    account.busy = 1
    assert counted(list(changes(api, TO))).keys() == {"create"}


def test_both_keys_are_needed(account: Account) -> None:
    with serving(account) as address:
        api = Api(address, {"DD-API-KEY": "api-key"})
        with pytest.raises(ApiError, match="403"):
            list(changes(api, TO))
        api.close()


def test_a_part_that_could_not_be_made_is_named(api: Api) -> None:
    """A composite monitor is not sent without it."""
    composite = next(c for c in changes(api, TO) if c.name == "HighErrorRate")
    with pytest.raises(ApiError, match=re.escape("HighErrorRate is made of HighErrorRate.watch")):
        composite.carry_out()


def test_addresses_that_cannot_be_are_refused(api: Api, account: Account) -> None:
    """In one line, before anything is asked."""
    with pytest.raises(ApiError, match=r"checks/SystemUnreachable: config\.request\.url"):
        list(changes(api, replace(TO, application="books.example")))
    assert account.asked == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"typo": 1}, "unknown typo"),
        ({"type": "bogus"}, "type bogus"),
        ({"query": "avg(last_5m) > 1"}, "is invalid"),
    ],
)
def test_the_account_of_these_tests_is_strict(change: dict[str, Any], error: str, api: Api) -> None:
    """Else it would prove nothing."""
    payload = dict(monitors.parts())["HighErrorRate.watch"] | change
    with pytest.raises(ApiError, match=error):
        api.ask("POST", "/api/v1/monitor", payload)
