"""The alerts, as the contract has them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import get_args

import pytest

from otel_accubooks.contract.alert import Alert, Channel
from otel_accubooks.contract.alerts import ALERTS, BY_NAME
from otel_accubooks.contract.metrics import BY_NAME as METRICS
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import INSTANCE, Series, series_of

EACH = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def test_there_are_thirty_two_and_a_test() -> None:
    """Five wake somebody up; one only says that alerting is alive, one is fired on demand."""
    assert Counter(alert.severity for alert in ALERTS) == {
        "P0": 5, "P1": 8, "P2": 14, "P3": 4, "none": 1, "test": 1,
    }  # fmt: skip
    assert len(BY_NAME) == 32 + 1


@EACH
def test_what_an_alert_watches_is_measured(alert: Alert) -> None:
    """Every metric exists, and has the labels that are asked for."""
    watched = [series for condition in alert.conditions for series in series_of(condition.query)]
    if alert.guard is not None:
        watched += series_of(alert.guard.growth)
    for series in watched:
        assert_exists(series)


def assert_exists(series: Series, *by: str) -> None:
    metric = METRICS.get(series.metric) or PIPELINE[series.metric]
    labels = {label.name: label for label in metric.labels}
    for where in series.where:
        values = labels[where.label].values
        assert values is None or any(value.startswith(where.value) for value in values)
    assert set(by) - {INSTANCE} <= labels.keys()


@EACH
def test_what_an_alert_mutes_is_less_urgent(alert: Alert) -> None:
    """An alert silences alerts of another name and of no higher severity."""
    for name in alert.mutes:
        assert name != alert.name
        assert BY_NAME[name].severity >= alert.severity


@pytest.mark.parametrize(
    ("name", "threshold", "hold"),
    [
        ("HighErrorRate", 1, 300),
        ("DatabasePoolExhaustion", 90, 300),
        ("HighLatency", 1000, 300),
        ("ForecastQueueDepthHigh", 200, 600),
        ("CacheHitRateLow", 70, 600),
        ("LatencyTrendDegradation", 1.5, 1800),
        ("NoActiveUsers", 0, 3600),
        ("CacheEvictionsHigh", 500, 60),
    ],
)
def test_thresholds_and_hold_times(name: str, threshold: float, hold: float) -> None:
    """Some of them, as people outside know them."""
    alert = BY_NAME[name]
    assert (alert.conditions[0].threshold, alert.hold) == (threshold, hold)


def test_channels_follow_severity() -> None:
    """The phone rings for P0 only; data integrity goes further up."""
    assert BY_NAME["HighErrorRate"].channels == ("phone", "email", "slack")
    assert BY_NAME["DataIntegrityIssue"].channels == ("phone", "email", "slack", "escalation")
    assert BY_NAME["NoActiveUsers"].channels == ("info",)


def test_a_test_alert_is_told_wherever_people_are() -> None:
    """Every channel but the heartbeat, which is no person's."""
    assert set(BY_NAME["TestAlert"].channels) == set(get_args(Channel)) - {"heartbeat"}


def test_a_condition_reads_as_a_sentence() -> None:
    """Alerts can be printed, and compared by eye with the contract."""
    assert str(BY_NAME["HighErrorRate"].conditions[0]) == (
        "share(http_requests_total{status_code=5*} of http_requests_total, 5 min) > 1"
    )


def test_a_sentence_follows_its_threshold() -> None:
    """Nothing is stated twice."""
    alert = BY_NAME["HighErrorRate"]
    (condition,) = alert.conditions
    changed = replace(alert, conditions=(replace(condition, threshold=2.5),))
    assert alert.summary == "More than 1 % of the requests fail"
    assert changed.summary == "More than 2.5 % of the requests fail"


@EACH
def test_no_sentence_restates_its_threshold(alert: Alert) -> None:
    """It stands in the condition alone."""
    told = {float(number) for number in re.findall(r"\d+\.?\d*", alert.text)}
    assert told.isdisjoint({condition.threshold for condition in alert.conditions})
