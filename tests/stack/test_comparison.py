"""What counts as arrived."""

from __future__ import annotations

import math

import pytest

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.stack.comparison import Row, compare, in_datadog
from otel_accubooks.stack.datadog_intake import DatadogIntake, Series


def row(done: float | None, **values: float | None) -> Row:
    return Row(m.HTTP_REQUESTS_TOTAL, done, dict(values))


def test_equal_everywhere_is_right() -> None:
    """As many in each backend, and as many as were done."""
    assert row(5, prometheus=5, datadog=5).ok
    assert row(None, prometheus=5.25, datadog=5.25).ok


@pytest.mark.parametrize(
    "wrong",
    [
        row(None, prometheus=5, datadog=4),
        row(6, prometheus=5, datadog=5),
        row(None, prometheus=5, datadog=math.nan),
        row(None, prometheus=5, datadog=None),
        row(None, prometheus=None),
        row(None),
    ],
)
def test_anything_else_is_not(wrong: Row) -> None:
    """A difference, a miss, or nothing asked at all."""
    assert not wrong.ok


def test_a_missing_metric_is_named_with_its_backend() -> None:
    """The row says where it did not arrive."""
    assert row(None, prometheus=5, datadog=None).missing == ["datadog"]


def test_every_metric_of_the_contract_is_compared() -> None:
    """What is missing is a row, too."""
    assert [row.metric for row in compare({}, {}, 0)] == list(METRICS)


def test_it_waits_until_all_is_right() -> None:
    """What is late is read again; what is never right stays wrong."""
    calls = {"late": 0}

    def late(_: object) -> float | None:
        calls["late"] += 1
        return 1.0 if calls["late"] > len(METRICS) else None

    assert all(r.ok for r in compare({"late": late}, {}, 10))
    assert not any(r.ok for r in compare({"never": lambda _: None}, {}, 0))


def test_points_that_datadog_would_overwrite_are_no_number() -> None:
    """Two points of a second: the sum in the intake is more than Datadog would show."""
    intake = DatadogIntake()
    series = Series("http_requests_total", "count", ())
    series.add(1, 10)
    series.add(2, 11)
    intake.series = lambda *_, **__: [series]  # type: ignore[method-assign]
    assert in_datadog(intake)(m.HTTP_REQUESTS_TOTAL) == 3
    series.add(4, 11)
    assert math.isnan(in_datadog(intake)(m.HTTP_REQUESTS_TOTAL) or 0)
