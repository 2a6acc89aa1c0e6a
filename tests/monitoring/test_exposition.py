"""Prometheus text and OpenMetrics, parsed back by Prometheus's own tools."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric
from otel_accubooks.monitoring.exposition import openmetrics_text, prometheus_text
from otel_accubooks.recorder.exemplars import Exemplar
from otel_accubooks.recorder.totals import Point

POINTS = [
    Point(m.HTTP_REQUESTS_TOTAL, ("GET", "/a", "200"), value=3),
    Point(m.HTTP_REQUESTS_TOTAL, ("GET", "/b", "500"), value=1),
    Point(m.CACHE_OPERATION_DURATION_MS, ("get",), counts=[1, 0, 0, 0, 2, 0, 1], total=150.5),
    Point(m.CACHE_HIT_RATE_PERCENT, (), value=33.25),
]


def one_of(metric: Metric) -> Point:
    labels = tuple((label.values or ("some",))[0] for label in metric.labels)
    counts = [1.0] * (len(metric.buckets) + 1) if metric.buckets else []
    return Point(metric, labels, value=3.5, counts=counts, total=7.25)


EVERY_METRIC = [one_of(metric) for metric in m.METRICS]


def test_promtool_has_nothing_to_say_but_of_names_that_are_fixed() -> None:
    """Of a page with every metric: the contract has milliseconds in four names, and one per second."""
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=prometheus_text(EVERY_METRIC), capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line.split(" ", 1) for line in (done.stdout + done.stderr).splitlines()]
    assert {text for _, text in said} <= {"metric names should not contain abbreviated units"}
    assert all(name.endswith(("_ms", "_per_sec")) for name, _ in said)


def test_every_metric_is_there_in_both_formats() -> None:
    """Under its exact name, with its type and its value."""
    for families in (
        text_string_to_metric_families(prometheus_text(EVERY_METRIC)),
        openmetrics_families(openmetrics_text(EVERY_METRIC)),
    ):
        found = {sample.name: family.type for family in families for sample in family.samples}
        for metric in m.METRICS:
            suffix = "_count" if metric.type == "histogram" else ""
            assert found[metric.name + suffix] == metric.type


def test_openmetrics_has_families_without_total_with_units_and_an_end() -> None:
    """As its specification wants: http_requests is the family of http_requests_total."""
    lines = openmetrics_text(EVERY_METRIC).splitlines()
    assert "# TYPE http_requests counter" in lines
    assert "# UNIT http_request_duration_ms ms" in lines
    assert "# UNIT system_disk_io_bytes bytes" in lines
    assert lines[-1] == "# EOF"
    assert openmetrics_text([]) == "# EOF\n"


def test_an_exemplar_stands_behind_its_bucket() -> None:
    """In OpenMetrics alone, with the span and the time."""
    exemplar = Exemplar(12.5, 1000.25, "ab" * 16, "cd" * 8)
    point = Point(
        m.CACHE_OPERATION_DURATION_MS, ("get",), counts=[0, 0, 0, 1, 0, 0, 0], total=12.5,
        exemplars=(None, None, None, exemplar, None, None, None),
    )  # fmt: skip
    (family,) = openmetrics_families(openmetrics_text([point]))
    found = {s.labels["le"]: s.exemplar for s in family.samples if s.exemplar}
    assert list(found) == ["25.0"]
    assert found["25.0"].value == 12.5
    assert float(found["25.0"].timestamp) == 1000.25
    assert found["25.0"].labels == {"trace_id": "ab" * 16, "span_id": "cd" * 8}
    assert "trace_id" not in prometheus_text([point])


def test_buckets_are_cumulative() -> None:
    """Each bucket holds those below it, +Inf all of them."""
    (family,) = [
        f for f in text_string_to_metric_families(prometheus_text(POINTS)) if f.type == "histogram"
    ]
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    assert buckets == {"1": 1, "5": 1, "10": 1, "25": 1, "50": 3, "100": 3, "+Inf": 4}


def test_what_is_beyond_the_limit_says_so() -> None:
    """The overflow series has the label that OpenTelemetry gives it."""
    text = prometheus_text([Point(m.HTTP_REQUESTS_TOTAL, (), value=9, overflow=True)])
    assert 'http_requests_total{otel_metric_overflow="true"} 9' in text.splitlines()


@pytest.mark.parametrize("openmetrics", [False, True])
@settings(deadline=None)
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f\r")))
def test_any_label_value_survives(openmetrics: bool, value: str) -> None:
    """Quotes, backslashes and line ends in a label are escaped."""
    points = [Point(m.CALCULATION_ERRORS_TOTAL, (value,), value=1)]
    if openmetrics:
        (family,) = openmetrics_families(openmetrics_text(points))
    else:
        (family,) = text_string_to_metric_families(prometheus_text(points))
    assert family.samples[0].labels == {"kind": value}
