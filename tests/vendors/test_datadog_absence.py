"""What is there no more is told by Datadog as missing data."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from otel_accubooks.contract.alert import Alert, Condition
from otel_accubooks.contract.alerts import ALERTS, BY_NAME
from otel_accubooks.contract.evaluation import GONE_SECONDS
from otel_accubooks.contract.query import DAY, MINUTE, Present
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.datadog import files, monitors

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
    runbooks="https://runbooks.example",
)
FILES = {path: json.loads(text) for path, text in files(TO).items()}
ABSENT = [
    (alert, condition.query)
    for alert in ALERTS
    for condition in alert.conditions
    if isinstance(condition.query, Present)
]


def absence_monitor(alert: Alert, query: Present) -> str:
    return f"monitors/{alert.name}.{query.of.metric}.json"


@pytest.mark.parametrize(("alert", "query"), ABSENT, ids=lambda one: getattr(one, "name", str(one)))
def test_absence_is_missing_data(alert: Alert, query: Present) -> None:
    """Of each service, for the time in which it is gone and the hold time; no value alerts."""
    one = FILES[absence_monitor(alert, query)]
    options = one["options"]
    selected = rf"(max|min):{query.of.metric}\{{\*\}} by \{{service\}}"
    assert re.fullmatch(rf"max\(last_10m\):{selected} < 0", one["query"])
    assert GONE_SECONDS + alert.hold == 10 * MINUTE
    assert options["group_retention_duration"] == "1d"
    assert query.known == DAY
    assert options["renotify_statuses"] == ["no data"]
    assert options["require_full_window"] is False
    assert f"{query} == 0" in one["message"].split("{{#is_no_data}}")[1].split("{{/")[0]
    assert "{{#is_alert}}" not in one["message"]


def test_what_is_not_absence_is_dropped_as_datadog_does_it() -> None:
    """Only what is missed has to be remembered."""
    remembered = {path for path, one in FILES.items() if "group_retention" in json.dumps(one)}
    assert remembered == {absence_monitor(alert, query) for alert, query in ABSENT}


def test_absence_is_no_part_of_a_composite_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is known of a part, a composite monitor would keep silent."""
    alert, query = ABSENT[0]
    guard = BY_NAME["HighErrorRate"].guard
    guarded = replace(alert, guard=guard, conditions=(Condition(query, "==", 0),))
    monkeypatch.setattr(monitors, "ALERTS", (guarded,))
    with pytest.raises(ValueError, match="no part of a composite monitor"):
        files(TO)
