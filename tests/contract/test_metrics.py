"""The catalogue of metrics, against what dashboards and people outside rely on."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_accubooks.contract.metrics import BY_NAME, METRICS


def test_every_group_has_its_metrics() -> None:
    """The contract has 50 metrics, in six groups."""
    assert Counter(metric.group for metric in METRICS) == {
        "api": 5, "database": 7, "cache": 7, "queue": 7, "business": 17, "system": 7,
    }  # fmt: skip
    assert len(BY_NAME) == len(METRICS) == 50


def test_names_are_those_of_prometheus() -> None:
    """Counters end in _total, nothing else does."""
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.type == "counter"), metric.name


def test_histograms_and_only_they_have_ascending_buckets() -> None:
    """A histogram's bounds ascend."""
    for metric in METRICS:
        assert bool(metric.buckets) == (metric.type == "histogram"), metric.name
        assert list(metric.buckets) == sorted(set(metric.buckets)), metric.name


def test_ratios_are_of_metrics_that_exist() -> None:
    """A percentage is computed from parts that are in the contract, by labels that they have."""
    for metric in METRICS:
        if metric.ratio is None:
            continue
        for part in (metric.ratio.numerator, *metric.ratio.denominators):
            found = BY_NAME[part.metric]
            assert found.type == "counter"
            assert set(metric.label_names) <= set(found.label_names)
            assert part.label is None or part.label in found.label_names


@pytest.mark.parametrize(
    ("name", "buckets"),
    [
        ("http_request_duration_ms", (10, 50, 100, 200, 500, 1000, 2000, 5000)),
        ("db_connection_wait_time_ms", (1, 5, 10, 25, 50, 100, 250, 500)),
        ("db_query_duration_ms", (10, 50, 100, 200, 500, 1000, 2000)),
        ("cache_operation_duration_ms", (1, 5, 10, 25, 50, 100)),
        ("forecast_job_duration_seconds", (1, 2, 5, 8, 10, 15, 20, 30, 60)),
        ("forecast_job_wait_time_seconds", (0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800)),
    ],
)
def test_buckets_are_fixed(name: str, buckets: tuple[float, ...]) -> None:
    """Thresholds of alerts are bounds of buckets: moving one would move an alert."""
    assert BY_NAME[name].buckets == buckets


@given(st.sampled_from(METRICS))
def test_a_metric_cannot_be_changed(metric: object) -> None:
    """The contract is immutable."""
    with pytest.raises(AttributeError):
        metric.name = "other"  # type: ignore[attr-defined]
