"""What Datadog would refuse, or take for something else, is refused before it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_accubooks.contract.alert import Condition
from otel_accubooks.contract.query import (
    DAY,
    Growth,
    Last,
    Mean,
    Present,
    Quotient,
    Reachable,
    Series,
)
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.datadog import files
from otel_accubooks.vendors.datadog.checking import check, check_monitor
from otel_accubooks.vendors.datadog.conditions import asked

TO = Addresses(("on-call@books.example",), ("cto@books.example",), "https://books.example")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"nmae": "x"}, "nmae: Extra inputs"),
        ({"type": "metric alarm"}, "does not match any of the expected tags"),
        ({"priority": 6}, "priority"),
        ({"priority": "1"}, "priority"),
        ({"options": {"on_missing_data": "notify"}}, "on_missing_data"),
        ({"options": {"renotify_intervall": 30}}, "renotify_intervall: Extra inputs"),
        ({"options": {"renotify_interval": 5}}, "renotify_interval"),
        ({"options": {"group_retention_duration": "30d"}}, "group_retention_duration"),
        ({"query": "avg(last_5m):avg:http_requests_total{*} > 1000"}, "does not suit a counter"),
        ({"options": {"thresholds": {"critical": 7}}}, "threshold is not the option's"),
    ],
)
def test_nonsense_is_refused(change: dict[str, Any], error: str) -> None:
    """Misspelt keys, values that Datadog does not know, and a threshold that is not the query's."""
    one = json.loads(files(TO)["monitors/HighLatency.json"])
    one["options"] |= change.pop("options", {})
    with pytest.raises(ValueError, match=error):
        check("monitor", one | change, "HighLatency")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("sum(last_5m):sum:no_such_total{*}.as_count() > 1", "no metric no_such_total"),
        ("sum(last_5m):sum:http_requests_total{*} > 1", "does not suit a counter"),
        ("avg(last_5m):sum:http_requests_total{*}.as_count() > 1", "avg over time"),
        ("sum(last_99h):sum:http_requests_total{*}.as_count() > 1", "window"),
        ("sum(5m):sum:http_requests_total{*}.as_count() > 1", "is not: aggregator"),
        ("sum(last_5m):sum:http_requests_total{shop:1}.as_count() > 1", "no tag shop"),
        ("sum(last_5m):sum:http_requests_total{*} by {shop}.as_count() > 1", "no tag shop"),
        ("min(last_5m):avg:active_users_concurrent{*} > 1", "avg does not suit a gauge"),
        ("percentile(last_5m):p95:forecast_job_wait_time_seconds{*} > 1", "p95 does not suit"),
        ("sum(last_5m):foo(sum:http_requests_total{*}.as_count()) > 1", "no arithmetic"),
        ("pct_change(avg(last_5m)):avg:http_request_duration_ms{*} > 1", "is not: aggregator"),
    ],
)
def test_a_query_that_would_ask_something_else_is_refused(query: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        check_monitor(query, 1)


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        (Condition(Last(Series("active_users_concurrent")), "==", 3), "only be held equal to 0"),
        (Condition(Growth((Series("http_requests_total"),)), "==", 0), "with > or <"),
        (Condition(Reachable(), "==", 0), "no question for Reachable"),
        (Condition(Present(Series("active_users_concurrent")), "==", 1), "there no more, == 0"),
        (Condition(Present(Series("http_requests_total")), "==", 0), "a count that is missing"),
        (
            Condition(
                Quotient(
                    Mean(Series("http_request_duration_ms"), 60),
                    Mean(Series("db_query_duration_ms"), DAY),
                ),
                ">",
                1,
            ),
            "no question for this quotient",
        ),
    ],
)
def test_what_datadog_cannot_ask_is_said(condition: Condition, error: str) -> None:
    """Instead of asking something else."""
    with pytest.raises(ValueError, match=error):
        asked(condition, 300)
