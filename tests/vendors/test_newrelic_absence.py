"""What is there no more is told by New Relic as a loss of signal."""

from __future__ import annotations

import pytest
from nrql_reader import answer, read
from nrql_streaming import events, opened

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.evaluation import Recorded
from otel_accubooks.contract.query import Present, Series, Where
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.newrelic.conditions import conditions
from otel_accubooks.vendors.newrelic.nrql import asked

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
    runbooks="https://runbooks.example",
)
ABSENT = [
    (alert, number)
    for alert in ALERTS
    for number, condition in enumerate(alert.conditions)
    if isinstance(condition.query, Present)
]


@pytest.mark.parametrize(
    ("alert", "number"), ABSENT, ids=lambda one: getattr(one, "name", str(one))
)
def test_absence_is_a_loss_of_signal(alert: Alert, number: int) -> None:
    """Told after five minutes and the hold time, known for a day; no value can open it."""
    one = conditions(alert, TO)["conditions"][number]["condition"]
    query = alert.conditions[number].query
    assert isinstance(query, Present)
    assert one["expiration"]["expirationDuration"] == 300 + alert.hold
    assert one["violationTimeLimitSeconds"] == query.known
    assert one["signal"]["fillOption"] == "NONE"
    asking = read(one["nrql"]["query"])
    row = {"metricName": query.of.metric, query.of.metric: 0.0, "service.name": "a"}
    other = {"metricName": "other", "other": 1.0, "service.name": "b"}
    assert answer(asking, {"Metric": [row, row, other]}) == {("a",): 1.0}
    assert answer(asking, {"Metric": [other]}) == {}


@pytest.mark.parametrize(
    ("alert", "number"), ABSENT, ids=lambda one: getattr(one, "name", str(one))
)
def test_what_was_never_there_is_not_missed(alert: Alert, number: int) -> None:
    """A service that sends other metrics only."""
    recorded = Recorded()
    for step in range(200):
        recorded.add(m.NPS_SCORE.name, 15.0 * step, (1.0,))
    found = opened(
        conditions(alert, TO)["conditions"][number]["condition"], events(recorded, 3000.0), 3000.0
    )
    assert found
    assert not any(is_open for _, is_open in found)


def test_absence_of_some_series_is_asked_where_nothing_answers_nothing() -> None:
    """In WHERE: a filter in the value would answer 0 for a service of which others are heard."""
    series = Series(m.FORECAST_QUEUE_DEPTH.name, (Where("queue", "main"),))
    asking = read(asked(Present(series)).text())
    row = {"metricName": series.metric, series.metric: 5.0, "service.name": "a"}
    assert answer(asking, {"Metric": [{**row, "queue": "main"}]}) == {("a",): 1.0}
    assert answer(asking, {"Metric": [{**row, "queue": "other"}]}) == {}
