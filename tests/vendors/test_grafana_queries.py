"""Status and recent alerts, as Prometheus evaluates them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from promtool import unit_tests

from otel_accubooks.contract.metrics import HTTP_REQUESTS_TOTAL
from otel_accubooks.contract.query import HOUR, Series, Share, Where
from otel_accubooks.vendors.grafana.queries import (
    DOWN,
    HEALTHY,
    UNKNOWN,
    WARNED,
    recent_alerts,
    status,
)
from otel_accubooks.vendors.promql import promql

HEALTH = 'system_health_status{job="books"}'
UP = 'up{job="accubooks", instance="a"}'
URGENT = 'ALERTS{alertname="HighLatency", alertstate="firing", severity="P1", job="books"}'
PENDING = 'ALERTS{alertname="HighLatency", alertstate="pending", severity="P1", job="books"}'
INFORMING = 'ALERTS{alertname="NoActiveUsers", alertstate="firing", severity="P3", job="books"}'
THEIRS = 'ALERTS{alertname="DiskFull", alertstate="firing", severity="P0"}'
BEATING = 'ALERTS{alertname="Watchdog", alertstate="firing", severity="none"}'
WELL = {HEALTH: 1, UP: 1, BEATING: 1}


@pytest.mark.parametrize(
    ("series", "value"),
    [
        (WELL, HEALTHY),
        (WELL | {INFORMING: 1, PENDING: 1, THEIRS: 1}, HEALTHY),
        (WELL | {URGENT: 1}, WARNED),
        (WELL | {HEALTH: 0}, DOWN),
        (WELL | {'system_health_status{job="other"}': 0}, DOWN),
        (WELL | {UP: 0, URGENT: 1}, DOWN),
        ({HEALTH: 1, BEATING: 1}, DOWN),
        ({HEALTH: 1, UP: 1}, UNKNOWN),
        ({UP: 1, BEATING: 1}, UNKNOWN),
    ],
    ids=[
        "healthy", "alerts that colour nothing", "an alert fires", "unhealthy", "another is unhealthy",
        "does not answer", "nothing is known of it", "no alert rules", "no health",
    ],
)  # fmt: skip
def test_the_status_is_of_the_worst_that_is_known(
    series: dict[str, int], value: int, tmp_path: Path
) -> None:
    """Red before yellow before green; green only where alerts are watched at all."""
    given = [{"series": name, "values": f"{number}x20"} for name, number in series.items()]
    check = {
        "expr": status(),
        "eval_time": "5m",
        "exp_samples": [{"labels": "{}", "value": value}],
    }
    unit_tests(tmp_path, {"groups": []}, [_test(given, [check])])


def test_the_ten_alerts_that_fired_last_are_told_with_their_time(tmp_path: Path) -> None:
    """Each alert of each service once; not the heartbeat, others' alerts or what is over long ago."""
    fired = {URGENT: "1x8 stale", INFORMING: "_x100 1x20", PENDING: "1x120", THEIRS: "1x120"}
    given = [{"series": name, "values": values} for name, values in fired.items()]
    check = {
        "expr": recent_alerts(HOUR),
        "eval_time": "30m",
        "exp_samples": [
            {
                "labels": '{alertname="NoActiveUsers", severity="P3", job="books"}',
                "value": 1000.0 * 15 * 120,
            },
            {
                "labels": '{alertname="HighLatency", severity="P1", job="books"}',
                "value": 1000.0 * 15 * 8,
            },
        ],
    }
    later = check | {"eval_time": "2h", "exp_samples": []}
    unit_tests(tmp_path, {"groups": []}, [_test(given, [check, later])])


def test_no_more_than_ten_are_told(tmp_path: Path) -> None:
    """Of one alert in a dozen services, ten rows."""
    given = [
        {"series": URGENT.replace("books", f"service{number}"), "values": "1x20"}
        for number in range(12)
    ]
    check = {
        "expr": f"count({recent_alerts(HOUR)})",
        "eval_time": "5m",
        "exp_samples": [{"labels": "{}", "value": 10}],
    }
    unit_tests(tmp_path, {"groups": []}, [_test(given, [check])])


def test_a_chosen_service_is_asked_alone(tmp_path: Path) -> None:
    """In the part and in the whole of a share, as Grafana fills its variable in."""
    requests = Series(HTTP_REQUESTS_TOTAL.name)
    errors = Series(HTTP_REQUESTS_TOTAL.name, (Where("status_code", "5", prefix=True),))
    given = [
        {"series": f'{requests.metric}{{job="{job}", status_code="{code}"}}', "values": values}
        for job in ("books", "other")
        for code, values in (("200", "0+3x40"), ("500", "0+1x40"))
    ]
    check = {
        "expr": promql(Share(errors, (requests,)), services="$job").replace("$job", "bo+ks"),
        "eval_time": "10m",
        "exp_samples": [{"labels": '{job="books"}', "value": 25}],
    }
    unit_tests(tmp_path, {"groups": []}, [_test(given, [check])])


def _test(series: list[dict[str, str]], checks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"interval": "15s", "input_series": series, "promql_expr_test": checks}
