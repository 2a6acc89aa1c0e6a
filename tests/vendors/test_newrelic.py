"""Each alert means in New Relic what it means in the contract, as far as New Relic can."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from newrelic_schema import condition_refusals, refusals
from nrql_reader import answer, read
from nrql_streaming import events, opened
from streams import STEP, Stream

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.alert import Alert, Guard
from otel_accubooks.contract.alerts import ALERTS, BY_NAME
from otel_accubooks.contract.evaluation import Recorded, Watch
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import (
    INSTANCE,
    Always,
    Growth,
    Last,
    Peak,
    Present,
    Quantile,
    Reachable,
    Series,
    Where,
    series_of,
)
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.newrelic import files
from otel_accubooks.vendors.newrelic.conditions import conditions, is_baseline, queries
from otel_accubooks.vendors.newrelic.differences import differences, page
from otel_accubooks.vendors.newrelic.nrql import asked, charted, guarded

TO = Addresses(
    email=("on-call@books.example", "second@books.example"),
    escalation_email=("cto@books.example",),
    application="https://books.example/",
    runbooks="https://runbooks.example/pages/",
    slack_channel="#books",
    slack_info_channel="#books-info",
    phone_service="books",
    heartbeat_url="https://heartbeat.example/ping",
)
FILES = files(TO)
LABELS = {label.name for metric in (*METRICS, *PIPELINE.values()) for label in metric.labels}
NAMES = {metric.name for metric in METRICS} | {
    name for metric in PIPELINE for name in (metric, f"{metric}_total")
}
KNOWN = {
    "Metric": NAMES | LABELS | {"service.name", "service.instance.id", "metricName"},
    "SyntheticCheck": {"monitorName", "result"},
}
OPERATORS = {">": "ABOVE", "<": "BELOW", "==": "EQUALS"}
STATIC = [alert for alert in ALERTS if not any(is_baseline(c.query) for c in alert.conditions)]
STREAMED = [alert for alert in STATIC if not isinstance(alert.conditions[0].query, Always)]


def rendered(path: str) -> Any:
    return json.loads(FILES[path])


def compiled(alert: Alert) -> list[dict[str, Any]]:
    return [one["condition"] for one in rendered(f"conditions/{alert.name}.json")["conditions"]]


def of(alerts: list[Alert] | tuple[Alert, ...]) -> Any:
    return pytest.mark.parametrize("alert", alerts, ids=lambda alert: alert.name)


@of(ALERTS)
def test_a_condition_is_an_input_of_new_relic(alert: Alert) -> None:
    """Every name and word is in the schema, every number within its limits."""
    for one in rendered(f"conditions/{alert.name}.json")["conditions"]:
        kind = one["type"]
        assert refusals(f"AlertsNrqlCondition{kind.capitalize()}Input", one["condition"]) == []
        assert condition_refusals(one["condition"], kind == "BASELINE") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runbookURL": "https://runbooks.example"}, "runbookURL"),
        ({"name": None}, "name"),
        ({"terms": [{"operator": "OVER"}]}, "OVER"),
        ({"signal": {"aggregationWindow": "300"}}, "300"),
        ({"expiration": {"expirationDuration": 300, "close": True}}, "close"),
    ],
)
def test_the_schema_refuses_what_is_none(change: dict[str, Any], said: str) -> None:
    """A misspelt name, a missing one, a word that is none, a text for a number."""
    (condition,) = compiled(BY_NAME["HighLatency"])
    told = refusals("AlertsNrqlConditionStaticInput", condition | change)
    assert any(said in one for one in told)


@of(ALERTS)
def test_a_query_reads_only_what_is_known(alert: Alert) -> None:
    """It is NRQL, of metrics and labels of the contract, and grouped by service where there is one."""
    for text in queries(alert):
        asking = read(text)
        inner = asking.source if isinstance(asking.source, str) else asking.source.source
        assert isinstance(inner, str)
        assert asking.attributes() <= KNOWN[inner]
        assert not asking.clauses
        if any(series_of(condition.query) for condition in alert.conditions):
            assert asking.facets[0] == "service.name"


@of(ALERTS)
def test_groups_are_those_of_the_contract(alert: Alert) -> None:
    """Each label that it is grouped by, `instance` under the name of the resource's attribute."""
    for condition, text in zip(alert.conditions, queries(alert), strict=True):
        query = getattr(condition.query, "dividend", condition.query)
        by = ["service.instance.id" if one == INSTANCE else one for one in getattr(query, "by", ())]
        assert read(text).facets[1:] == by


@of(STATIC)
def test_threshold_and_hold_time_are_the_contracts(alert: Alert) -> None:
    """Operator, value, and all of the hold time; where it is none, one value is enough."""
    for condition, one in zip(alert.conditions, compiled(alert), strict=True):
        (term,) = one["terms"]
        assert (term["operator"], term["threshold"]) == (
            OPERATORS[condition.comparison],
            condition.threshold,
        )
        if alert.hold:
            assert (term["thresholdDuration"], term["thresholdOccurrences"]) == (alert.hold, "ALL")
        else:
            assert term["thresholdOccurrences"] == "AT_LEAST_ONCE"


@of(ALERTS)
def test_the_window_is_the_querys(alert: Alert) -> None:
    """What the value is computed from is as long as in the contract; a gauge is asked every 30 s."""
    for condition, one in zip(alert.conditions, compiled(alert), strict=True):
        query = getattr(condition.query, "dividend", condition.query)
        if window := getattr(query, "window", None):
            assert one["signal"]["aggregationWindow"] == window
        elif isinstance(query, Last):
            assert one["signal"]["aggregationWindow"] == 30


@of(ALERTS)
def test_who_is_told_finds_the_runbook(alert: Alert) -> None:
    """Its address, the summary and our mark."""
    for one in compiled(alert):
        address = f"https://runbooks.example/pages/{alert.name}.md"
        assert one["runbookUrl"] == address
        lines = one["description"].splitlines()
        assert lines[0] == f"{alert.summary}."
        assert f"Runbook: {address}" in lines
        assert lines[-1] == "managed-by:otel-accubooks"


@of(ALERTS)
def test_it_is_in_the_policy_of_its_severity(alert: Alert) -> None:
    """And critical where somebody is woken or mailed."""
    severity = "heartbeat" if alert.severity == "none" else alert.severity
    assert rendered(f"conditions/{alert.name}.json")["policy"] == f"otel-accubooks {severity}"
    urgent = alert.severity in ("P0", "P1")
    assert {one["terms"][0]["priority"] for one in compiled(alert)} == {
        "CRITICAL" if urgent else "WARNING"
    }


def history(alert: Alert, instances: int, number: int) -> Stream:
    """Health, the condition for longer than it has to hold, with a restart in it, and health."""
    stream = Stream(instances)
    reach = max(300.0, *(getattr(c.query, "window", 0.0) for c in alert.conditions))
    lasts = int((alert.hold + reach + 1200) / STEP)
    for bad in (False, True, False):
        for step in range(lasts):
            if bad and step == 10:
                stream.begin_anew()
            stream.step(alert, bad=bad, number=number)
    return stream


@pytest.mark.parametrize("instances", [1, 3])
@of(STREAMED)
def test_it_opens_when_the_contract_fires(alert: Alert, instances: int) -> None:
    """Within two steps of the windows, once the first one is full; and it ends when that does."""
    for number, condition in enumerate(compiled(alert)):
        stream = history(alert, instances, number)
        watch = Watch(replace(alert, conditions=(alert.conditions[number],)))
        steps = [step * STEP for step in range(int(stream.now / STEP))]
        fires = [watch.fires(stream.recorded, at) for at in steps]
        found = opened(condition, events(stream.recorded, stream.now), stream.now)
        signal, (term,) = condition["signal"], condition["terms"]
        fired = steps[fires.index(True)]
        earliest = signal["aggregationWindow"] + term["thresholdDuration"]
        first = next(at for at, is_open in found if is_open)
        tolerance = 2 * ((signal["slideBy"] or signal["aggregationWindow"]) + STEP)
        assert abs(first - max(fired, earliest)) <= tolerance
        assert found[-1][1] is fires[-1]


@of([alert for alert in STREAMED if alert.guard is not None])
def test_too_little_traffic_says_nothing(alert: Alert) -> None:
    """The worst share there is, of as many events as the guard asks for, and of one less."""
    (condition,), guard = alert.conditions, alert.guard
    assert isinstance(guard, Guard)
    query = condition.query
    worst = getattr(query, "part") if condition.comparison == ">" else query.whole[1]  # noqa: B009
    enough = int(guard.least * guard.growth.window / (guard.growth.per or 1))
    for events_seen, breaches in ((enough - 1, False), (enough, True)):
        labels = {
            where.label: f"{where.value}00" if where.prefix else where.value
            for where in worst.where
        }
        row = {"metricName": worst.metric, worst.metric: events_seen, "service.name": "a", **labels}
        (value,) = answer(read(queries(alert)[0]), {"Metric": [row]}).values()
        above = value > condition.threshold
        below = value < condition.threshold
        assert (above if condition.comparison == ">" else below) is breaches


def test_silence_of_the_check_and_of_what_must_be_there_opens_an_incident() -> None:
    """Of everything else silence closes what is open: there is no data, and so no alert."""
    for alert in ALERTS:
        for condition, one in zip(alert.conditions, compiled(alert), strict=True):
            opens = isinstance(condition.query, (Present, Reachable))
            assert one["expiration"]["openViolationOnExpiration"] is opens
            nested = "FROM (" in one["nrql"]["query"]
            assert one["expiration"]["closeViolationsOnExpiration"] is not (opens or nested)


def test_a_gauge_without_points_is_gone_after_five_minutes() -> None:
    """As in the contract; until then it keeps its value."""
    (condition,) = compiled(BY_NAME["RedisMemoryCritical"])
    recorded = Recorded()
    for step in range(20):
        recorded.add(m.CACHE_MEMORY_USAGE_PERCENT.name, 15.0 * step, (95.0,))
    for step in range(100):
        recorded.add(m.NPS_SCORE.name, 15.0 * step, (1.0,))
    found = dict(opened(condition, events(recorded, 1500.0), 1500.0))
    assert found[540.0] is True
    assert found[630.0] is False


def test_a_sum_over_hosts_takes_the_newest_of_each() -> None:
    """Not every point of the window."""
    recorded = Recorded()
    for instance, values in (("a", (1.0, 2.0)), ("b", (10.0, 20.0))):
        for at, value in enumerate(values):
            for metric in (m.DB_ACTIVE_CONNECTIONS, m.DB_POOL_MAX_CONNECTIONS):
                amount = value if metric is m.DB_ACTIVE_CONNECTIONS else 50.0
                recorded.add(metric.name, float(at), (amount,), pool="main", instance=instance)
    data = events(recorded, 60.0)
    query = Last(Series(m.DB_ACTIVE_CONNECTIONS.name), by=("pool",))
    assert answer(read(asked(query).text()), data) == {("accubooks", "main"): 22.0}
    assert answer(read(charted(query).text()), data) == {("accubooks", "main"): 8.25 * 2}
    (quotient,) = queries(BY_NAME["DatabaseConnectionsHigh"])
    assert answer(read(quotient), data) == {("accubooks", "main"): 22.0}


def test_the_comparison_with_the_past_is_a_baseline() -> None:
    """On the mean, upwards, without seasons; and whoever is told reads so."""
    alert = BY_NAME["LatencyTrendDegradation"]
    (one,) = rendered("conditions/LatencyTrendDegradation.json")["conditions"]
    condition = one["condition"]
    assert one["type"] == "BASELINE"
    assert condition["baselineDirection"] == "UPPER_ONLY"
    assert condition["nrql"]["query"].startswith(
        f"SELECT average({m.HTTP_REQUEST_DURATION_MS.name})"
    )
    assert condition["signal"]["aggregationWindow"] == condition["terms"][0]["thresholdDuration"]
    assert "standard deviations" in condition["description"]
    assert any("standard deviations" in text for text in differences()[alert.name])


def test_the_heartbeat_is_one_incident_after_the_other() -> None:
    """Closed after five minutes, and the next one opens; only the opening is told, to the address given."""
    (condition,) = compiled(BY_NAME["Watchdog"])
    assert condition["violationTimeLimitSeconds"] == 300
    told = rendered("notifications.json")
    (workflow,) = (one for one in told["workflows"] if one["name"] == "otel-accubooks heartbeat")
    (configured,) = workflow["destinationConfigurations"]
    assert configured["notificationTriggers"] == ["ACTIVATED"]
    (destination,) = (one for one in told["destinations"] if one["type"] == "WEBHOOK")
    assert destination["properties"] == [{"key": "url", "value": "https://heartbeat.example/ping"}]
    without = json.loads(files(replace(TO, heartbeat_url=""))["notifications.json"])
    assert "heartbeat" not in json.dumps(without["workflows"])


def test_nothing_rendered_is_secret_or_of_an_account() -> None:
    """No key, and no number of an account but 0."""
    every = "".join(FILES.values())
    assert not re.search(r"NRAK|apiKey|token", every)
    assert set(re.findall(r'"accountIds": \[\s*(\d+)\s*\]', every)) == {"0"}


def test_the_check_asks_for_health() -> None:
    """From several places, once a minute, and its name is the one that the condition asks for."""
    monitor = rendered("checks/reachable.json")
    assert refusals("SyntheticsCreateSimpleMonitorInput", monitor) == []
    assert monitor["uri"] == "https://books.example/api/monitoring/health"
    assert monitor["period"] == "EVERY_MINUTE"
    assert len(monitor["locations"]["public"]) >= 3
    (condition,) = compiled(BY_NAME["SystemUnreachable"])
    assert f"monitorName = '{monitor['name']}'" in condition["nrql"]["query"]


def test_differences_speak_of_every_alert() -> None:
    """The page has each alert with its query, and what is silent elsewhere is named here."""
    text = page()
    for alert in ALERTS:
        assert f"\n## {alert.name}\n" in text
        for query in queries(alert):
            assert f"`{query}`" in text
        for muted in alert.mutes:
            assert any(alert.name in one for one in differences()[muted])
        if any(isinstance(condition.query, Quantile) for condition in alert.conditions):
            assert any("sketch" in one for one in differences()[alert.name])
        if alert.guard is not None or not alert.hold or len(alert.conditions) > 1:
            assert differences()[alert.name]


def test_both_names_of_the_gateways_counters_are_read() -> None:
    """With `_total` and without it, as its version has it."""
    (query, *_) = queries(BY_NAME["TelemetryPipelineFailing"])
    name = BY_NAME["TelemetryPipelineFailing"].conditions[0].query.of[0].metric
    for one in (name, f"{name}_total"):
        row = {"metricName": one, one: 3, "service.name": "gateway"}
        assert answer(read(query), {"Metric": [row]}) == {("gateway",): 3.0}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (Growth((Series("logins", (Where("name", "50%", prefix=True),)),)), "LIKE"),
        (Peak(Last(Series(m.DB_ACTIVE_CONNECTIONS.name)), 60), "over time"),
    ],
)
def test_what_new_relic_cannot_ask_is_refused(
    query: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than asked for something else."""
    monkeypatch.setitem(m.BY_NAME, "logins", m.USER_LOGINS_TOTAL)
    with pytest.raises(ValueError, match=said):
        charted(query)


def test_a_guard_of_equality_is_refused() -> None:
    """No value is both without a comparison and without an alert."""
    alert = BY_NAME["NoActiveUsers"]
    guard = BY_NAME["HighErrorRate"].guard
    assert guard is not None
    with pytest.raises(ValueError, match="no way to guard"):
        guarded(alert.conditions[0], guard)


def test_a_renamed_metric_flows_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler has no name of its own: the new one is in the query, and only that."""
    alert = BY_NAME["HighLatency"]
    renamed = m.HTTP_REQUEST_DURATION_MS._replace(name="request_ms")
    monkeypatch.setitem(m.BY_NAME, "request_ms", renamed)
    (condition,) = alert.conditions
    assert isinstance(condition.query, Quantile)
    query = replace(condition.query, of=Series("request_ms"))
    moved = replace(alert, conditions=(replace(condition, query=query),))
    text = json.dumps(conditions(moved, TO))
    assert "percentile(request_ms, 95)" in text
    assert m.HTTP_REQUEST_DURATION_MS.name not in text
