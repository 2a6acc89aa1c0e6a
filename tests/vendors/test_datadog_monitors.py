"""Each alert means in Datadog what it means in the contract."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from otel_accubooks.contract import endpoints, pipeline
from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.alert import Alert, Channel, Condition
from otel_accubooks.contract.alerts import ALERTS, BY_NAME
from otel_accubooks.contract.query import (
    Always,
    Growth,
    Last,
    Mean,
    Present,
    Quantile,
    Quotient,
    Reachable,
    Series,
    Share,
    series_of,
)
from otel_accubooks.vendors.addresses import Addresses, Phone
from otel_accubooks.vendors.datadog import files, monitors
from otel_accubooks.vendors.datadog.differences import differences, page

TO = Addresses(
    email=("on-call@books.example", "second@books.example"),
    escalation_email=("cto@books.example",),
    application="https://books.example/",
    runbooks="https://runbooks.example/pages/",
    slack_workspace="books",
    heartbeat_url="https://heartbeat.example/ping",
)
FILES = {path: json.loads(text) for path, text in files(TO).items()}
EVERY_ALERT = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
HANDLES: dict[Channel, set[str]] = {
    "phone": {"@pagerduty-accubooks"},
    "email": {"@on-call@books.example", "@second@books.example"},
    "slack": {"@slack-books-alerts"},
    "info": {"@slack-books-alerts-info"},
    "escalation": {"@cto@books.example"},
    "heartbeat": {"@webhook-accubooks-heartbeat"},
}


def notifying(alert: Alert) -> list[Any]:
    """What tells of the alert: monitors, or the check."""
    tag = f"alert:{alert.name}"
    return [
        one
        for path, one in FILES.items()
        if path.startswith(("monitors/", "checks/")) and "parts/" not in path and tag in one["tags"]
    ]


def watching(alert: Alert) -> list[Any]:
    """The metric monitors that look, silent ones among them, guards not."""
    tag = f"alert:{alert.name}"
    return [
        one
        for path, one in FILES.items()
        if path.startswith("monitors/")
        and one["type"] == "query alert"
        and tag in one["tags"]
        and "part:guard" not in one["tags"]
    ]


@EVERY_ALERT
def test_it_is_told_to_those_whom_the_contract_names(alert: Alert) -> None:
    """And to nobody else, but for the silence of the heartbeat, which people have to hear."""
    found = notifying(alert)
    assert found
    expected = set().union(*(HANDLES[channel] for channel in alert.channels))
    for one in found:
        told = re.sub(
            r"\{\{#is_no_data\}\}.*?\{\{/is_no_data\}\}", "", one["message"], flags=re.DOTALL
        )
        assert set(re.findall(r"@\S+", told)) == expected


@EVERY_ALERT
def test_the_message_says_what_and_where_to_read_on(alert: Alert) -> None:
    for one in notifying(alert):
        assert one["message"].startswith(f"{alert.summary}.")
        assert f"https://runbooks.example/pages/{alert.name}.md" in one["message"]
        assert {"managed-by:otel-accubooks", f"severity:{alert.severity}"} <= set(one["tags"])
        assert one["message"].count("{{#") == one["message"].count("{{/")


@EVERY_ALERT
def test_its_priority_is_its_severity(alert: Alert) -> None:
    """Datadog's begin with 1."""
    expected = {"P0": 1, "P1": 2, "P2": 3, "P3": 4, "test": 5, "none": 5}[alert.severity]
    for one in notifying(alert):
        assert expected in (one.get("priority"), one["options"].get("monitor_priority"))


@EVERY_ALERT
def test_thresholds_are_the_contracts(alert: Alert) -> None:
    """In the query, and once more in the options; a trend as percent more."""
    expected = set()
    for condition in alert.conditions:
        query, threshold = condition.query, condition.threshold
        trend = isinstance(query, Quotient) and isinstance(query.dividend, Mean)
        if isinstance(query, Always):
            expected.add(0.0)
        elif not isinstance(query, Reachable):
            expected.add(100 * (threshold - 1) if trend else threshold)
    found = {one["options"]["thresholds"]["critical"] for one in watching(alert)}
    assert found == expected
    for one in watching(alert):
        assert float(one["query"].rsplit(" ", 1)[1]) in expected


@EVERY_ALERT
def test_every_series_of_the_contract_is_asked(alert: Alert) -> None:
    """Under its name of the contract, with its filters and groups."""
    text = " ".join(one["query"] for one in watching(alert))
    for condition in alert.conditions:
        for series in series_of(condition.query):
            assert f":{series.metric}{{" in text
            for where in series.where:
                assert f"{where.label}:{where.value.lower()}" in text
        by = getattr(getattr(condition.query, "dividend", condition.query), "by", ())
        groups = ",".join(["service", *("host" if label == "instance" else label for label in by)])
        if not isinstance(condition.query, (Reachable, Always)):
            assert f"by {{{groups}}}" in text


def minutes(query: str) -> int:
    found = re.search(r"last_(\d+)([mh])\)", query)
    assert found is not None
    return int(found[1]) * (60 if found[2] == "h" else 1)


@EVERY_ALERT
def test_it_looks_back_as_long_as_it_has_to_hold(alert: Alert) -> None:
    """A gauge meets the condition in the whole of a full window; counts are judged over all of it."""
    for voice in monitors.voices(alert):
        query = voice.condition.query
        (one,) = [w for w in watching(alert) if f"monitor:{voice.watch}" in w["tags"]]
        lasts = isinstance(query, Last) or (
            isinstance(query, Quotient) and isinstance(query.dividend, Last)
        )
        if lasts and not alert.hold:
            # One point fires it.
            assert one["query"].startswith("max(last_1m)")
            assert one["options"]["require_full_window"] is False
        elif lasts:
            worst = "min" if voice.condition.comparison == ">" else "max"
            assert one["query"].startswith(f"{worst}(last_")
            assert minutes(one["query"]) * 60 == alert.hold
            assert one["options"]["require_full_window"] is True
        elif isinstance(query, (Growth, Share, Quantile)):
            assert minutes(one["query"]) * 60 == max(query.window, alert.hold)
            assert one["options"]["require_full_window"] is False


@pytest.mark.parametrize(
    ("name", "query"),
    [
        (
            "HighErrorRate.watch",
            "sum(last_5m):100 * sum:http_requests_total{status_code:5*} by {service}.as_count()"
            " / sum:http_requests_total{*} by {service}.as_count() > 1",
        ),
        ("HighLatency", "percentile(last_5m):p95:http_request_duration_ms{*} by {service} > 1000"),
        (
            "DatabaseConnectionErrors",
            "sum(last_5m):sum:db_connection_errors_total{*} by {service}.as_count() / 5 > 5",
        ),
        (
            "DatabasePoolExhaustion",
            "min(last_5m):max:db_pool_utilization_percent{*} by {service,pool} > 90",
        ),
        ("SystemUnhealthy.watch", "max(last_5m):min:system_health_status{*} by {service} <= 0"),
        (
            "LatencyTrendDegradation.watch",
            "pct_change(avg(last_30m),1d_ago):avg:http_request_duration_ms{*} by {service} > 50",
        ),
    ],
)
def test_the_idioms(name: str, query: str) -> None:
    """One of each kind, word for word as Datadog's documentation has them."""
    (found,) = [one for path, one in FILES.items() if path.endswith(f"/{name}.json")]
    assert found["query"] == query


def test_low_traffic_is_a_monitor_of_its_own() -> None:
    """Over the same window as the alert, and both have to be met."""
    guarded = [alert for alert in ALERTS if alert.guard is not None]
    assert guarded
    for alert in guarded:
        assert alert.guard is not None
        guard = FILES[f"monitors/parts/{alert.name}.guard.json"]
        watch = FILES[f"monitors/parts/{alert.name}.watch.json"]
        assert guard["query"].endswith(f" >= {alert.guard.least:g}")
        assert minutes(guard["query"]) == minutes(watch["query"])
        both = f"{{{alert.name}.watch}} && {{{alert.name}.guard}}"
        assert FILES[f"monitors/{alert.name}.json"]["query"].startswith(both)


def test_who_is_muted_is_silent_while_the_other_fires() -> None:
    """For each pair of the contract."""
    for alert in ALERTS:
        for muted in alert.mutes:
            query = FILES[f"monitors/{muted}.json"]["query"]
            assert re.search(rf"!\(?\{{{alert.name}(\.watch)?\}}", query), (alert.name, query)


def test_composite_monitors_name_what_is_there() -> None:
    """Monitors that are not composite themselves, which Datadog takes for parts, or the check."""
    simple = {
        path.rsplit("/", 1)[1].removesuffix(".json")
        for path, one in FILES.items()
        if path.startswith(("monitors/", "checks/")) and one["type"] != "composite"
    }
    composite = [one for one in FILES.values() if one.get("type") == "composite"]
    assert composite
    for one in composite:
        assert set(re.findall(r"\{([^{}]+)\}", one["query"])) <= simple


def test_parts_tell_nobody() -> None:
    parts = [one for path, one in FILES.items() if path.startswith("monitors/parts/")]
    assert parts
    for one in parts:
        assert "@" not in one["message"]
        assert one["priority"] is one["options"]["renotify_interval"] is None


def test_missing_data_are_told_of_health_of_the_heartbeat_and_of_what_is_absent_alone() -> None:
    """Everything else is over when nothing is known of it."""
    absent = {
        f"monitors/{alert.name}.{condition.query.of.metric}.json"
        for alert in ALERTS
        for condition in alert.conditions
        if isinstance(condition.query, Present)
    }
    for path, one in FILES.items():
        if not path.startswith("monitors/"):
            continue
        silence = "SystemUnhealthy" in path or "Watchdog" in path or path in absent
        if one["type"] == "composite":
            assert one["options"]["notify_no_data"] is silence
        else:
            expected = "show_and_notify_no_data" if silence else "resolve"
            assert one["options"]["on_missing_data"] == expected
            assert one["options"]["new_group_delay"] == 0


def test_one_of_several_events_is_enough() -> None:
    """Also where a counter of the other kind does not exist yet: each has a monitor of its own."""
    (condition,) = BY_NAME["DataIntegrityIssue"].conditions
    assert isinstance(condition.query, Growth)
    for series in condition.query.of:
        one = FILES[f"monitors/DataIntegrityIssue.{series.metric}.json"]
        assert (
            one["query"] == f"sum(last_5m):sum:{series.metric}{{*}} by {{service}}.as_count() > 0"
        )
    conditions = BY_NAME["TelemetryPipelineFailing"].conditions
    names = {series_of(condition.query)[0].metric for condition in conditions}
    assert len(names) == len(conditions)
    for name in names:
        assert f"monitors/TelemetryPipelineFailing.{name}.json" in FILES


def test_reachability_is_looked_at_from_outside() -> None:
    """At the application's health address, from several places, failing as long as the contract holds."""
    alert = BY_NAME["SystemUnreachable"]
    one = FILES["checks/SystemUnreachable.json"]
    request = one["config"]["request"]
    assert request["url"] == f"https://books.example{endpoints.HEALTH.paths()[0]}"
    assert one["options"]["min_failure_duration"] == alert.hold
    assert 1 < one["options"]["min_location_failed"] <= len(one["locations"])


def test_the_heartbeat_beats_outside_and_people_hear_its_silence() -> None:
    message = FILES["monitors/Watchdog.json"]["message"]
    alert, silence = message.split("{{#is_no_data}}")
    assert "@webhook-accubooks-heartbeat" in alert
    assert "@on-call@books.example" in silence


@pytest.mark.parametrize("phone", ["pagerduty", "opsgenie", "webhook"])
def test_the_phone_is_the_chosen_one(phone: Phone) -> None:
    to = replace(TO, phone=phone, phone_service="books", phone_url="https://phone.example")
    one = json.loads(files(to)["monitors/HighErrorRate.json"])
    assert f"@{phone}-books" in one["message"].split()


def test_a_renamed_metric_flows_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Into the query of its alert; one that the contract does not know is refused."""
    (condition,) = BY_NAME["RequestRateUnusual"].conditions
    assert isinstance(condition.query, Growth)
    renamed = Condition(
        replace(condition.query, of=(Series("requests_answered_total"),)), ">", 1000
    )
    alert = replace(BY_NAME["RequestRateUnusual"], conditions=(renamed,))
    monkeypatch.setattr(monitors, "ALERTS", (alert,))
    with pytest.raises(ValueError, match="no metric requests_answered_total"):
        files(TO)
    metric = m.HTTP_REQUESTS_TOTAL._replace(name="requests_answered_total")
    monkeypatch.setitem(m.BY_NAME, metric.name, metric)
    one = json.loads(files(TO)["monitors/RequestRateUnusual.json"])
    assert one["query"].startswith("sum(last_5m):sum:requests_answered_total{*} by {service}")


def test_every_alert_is_on_the_page_of_differences() -> None:
    """With what Datadog asks, and a word where that is not quite the same."""
    text, told = page(), differences()
    assert list(told) == [alert.name for alert in ALERTS]
    for alert in ALERTS:
        assert f"## {alert.name}\n" in text
        for one in watching(alert):
            assert f"`{one['query']}`" in text
        counted = [
            c.query for c in alert.conditions if isinstance(c.query, (Growth, Share, Quantile))
        ]
        assert not (counted and alert.hold) or told[alert.name]
        assert not alert.mutes or all(alert.name in told[muted] for muted in alert.mutes)


def test_the_gateways_metrics_have_their_own_names() -> None:
    """Where its option sends them they come without the suffix that Prometheus adds."""
    text = json.dumps(FILES)
    assert all(f":{name}{{" in text for name in pipeline.PIPELINE)
    assert "otelcol_receiver_refused_metric_points_total" not in text
