"""What Prometheus makes of queries where series come, go and begin anew, by example."""

from __future__ import annotations

from pathlib import Path

import pytest
from promtool import unit_tests

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract import pipeline as p
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.query import Growth, Last, Peak, Quantile, Query, Series
from otel_accubooks.vendors.promql import promql


def answers(
    query: Query, series: dict[str, str], minute: int, value: float | None
) -> dict[str, object]:
    """A unit test with a point each minute: what `query` says at `minute`; None for no data."""
    samples = [] if value is None else [{"labels": '{job="shop"}', "value": value}]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": points} for name, points in series.items()],
        "promql_expr_test": [
            {"expr": promql(query), "eval_time": f"{minute}m30s", "exp_samples": samples}
        ],
    }


def growth(metric: Metric) -> Growth:
    return Growth((Series(metric.name),))


ERRORS = m.CALCULATION_ERRORS_TOTAL
ONE = f'{ERRORS.name}{{job="shop", instance="1"}}'
OTHER = f'{ERRORS.name}{{job="shop", instance="2"}}'
FAILED = f'{p.SEND_FAILED.name}{{job="shop", instance="1"}}'
FAILED_TOTAL = f'{p.SEND_FAILED.name}_total{{job="shop", instance="1"}}'
BUCKETS = {
    f'{m.HTTP_REQUEST_DURATION_MS.name}_bucket{{job="shop", le="{bound}"}}': "7x10"
    for bound in (*m.HTTP_REQUEST_DURATION_MS.buckets, "+Inf")
}


@pytest.mark.parametrize(
    ("series", "minute", "value"),
    [
        pytest.param({ONE: "40+1x10"}, 9, 5, id="whole numbers, not extrapolated"),
        pytest.param({ONE: "_x8 3 3"}, 9, 3, id="new in the window: from 0"),
        pytest.param({ONE: "40x2 _x20 42"}, 23, 2, id="a silence: from where it was"),
        pytest.param({ONE: "40x2 _x20 3"}, 23, 3, id="a silence and a restart: from 0"),
        pytest.param({ONE: "40x10", OTHER: "7x4 2 2 2 2"}, 8, 2.5, id="a restart: 2, extrapolated"),
        pytest.param({ONE: "40x10 _x65 41"}, 76, 41, id="silent for an hour: taken as new"),
        pytest.param({ONE: "40x4 _x20"}, 15, None, id="gone"),
    ],
)
def test_growth(series: dict[str, str], minute: int, value: float | None, tmp_path: Path) -> None:
    """In five minutes, from the last value before them on."""
    unit_tests(tmp_path, {"groups": []}, [answers(growth(ERRORS), series, minute, value)])


def test_a_collector_may_change_the_name_of_its_counter(tmp_path: Path) -> None:
    """With `_total` after an upgrade: neither counts twice, and both at a time are no error."""
    upgraded = {FAILED: "5x10", FAILED_TOTAL: "_x9 0 2 2 2 2 2 2 2"}
    said = {9: 0.0, 14: 2.0, 15: 0.0}
    tests = [answers(growth(p.SEND_FAILED), upgraded, *moment) for moment in said.items()]
    unit_tests(tmp_path, {"groups": []}, tests)


def test_no_observations_are_no_data(tmp_path: Path) -> None:
    """And not a sample that is no number."""
    quantile = Quantile(0.95, Series(m.HTTP_REQUEST_DURATION_MS.name))
    unit_tests(tmp_path, {"groups": []}, [answers(quantile, BUCKETS, 9, None)])


def test_a_peak_between_two_evaluations_is_seen(tmp_path: Path) -> None:
    """Whatever the server's own interval: a value that was there for fifteen seconds."""
    users = f'{m.ACTIVE_USERS_CONCURRENT.name}{{job="shop", instance="1"}}'
    peak = Peak(Last(Series(m.ACTIVE_USERS_CONCURRENT.name)), 600)
    test = answers(peak, {users: "1 1 1 1 1 1 9 1 1 1 1 1 1 1 1"}, 2, 9) | {"interval": "15s"}
    unit_tests(tmp_path, {"groups": []}, [test])
